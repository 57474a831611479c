#!/bin/sh
# Makes an authority of a cluster's own, and one certificate with its key that all members of the cluster show.
# usage: certificates.sh FOLDER [DAYS]
set -eu
folder=${1:?usage: certificates.sh FOLDER [DAYS]}
days=${2:-365}
umask 077
mkdir -p "$folder"
cd "$folder"
for file in ca.pem ca-key.pem cert.pem key.pem; do
  if [ -e "$file" ]; then
    echo "certificates.sh: $folder/$file is there already; name another folder, or remove it" >&2
    exit 1
  fi
done
cat > extensions.cnf << EXTENSIONS
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth, clientAuth
EXTENSIONS
curve="-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
# shellcheck disable=SC2086 # the options are several words
{
  openssl req -x509 $curve -days "$days" -subj "/CN=insar-dask authority" \
    -addext "keyUsage = critical, keyCertSign, cRLSign" -keyout ca-key.pem -out ca.pem
  openssl req $curve -subj "/CN=insar-dask" -keyout key.pem -out request.pem
  openssl x509 -req -days "$days" -in request.pem -CA ca.pem -CAkey ca-key.pem -CAcreateserial \
    -extfile extensions.cnf -out cert.pem
} 2> openssl.log || { cat openssl.log >&2; exit 1; }
rm -f extensions.cnf request.pem ca.srl openssl.log
chmod 644 ca.pem cert.pem
echo "$folder: ca.pem, cert.pem and key.pem go to every member; ca-key.pem stays with you"
