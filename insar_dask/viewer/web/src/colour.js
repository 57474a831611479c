// Colours of values. Negative is red and positive blue, whatever a map is called elsewhere.

// ColorBrewer RdBu, 11 classes (Cynthia Brewer, Apache-2.0): away from the satellite to toward it
const RED_BLUE = "67001fb2182bd6604df4a582fddbc7f7f7f7d1e5f092c5de4393c32166ac053061";
// viridis of matplotlib (Nathaniel Smith, Stefan van der Walt, CC0)
const VIRIDIS =
  "44015444025645045745055946075a46085c460a5d460b5e470d60470e6147106347116447136548146748166848176948186a481a6c481b6d481c6e481d6f481f70482071482173482374482475482576482677482878482979472a7a472c7a472d7b472e7c472f7d46307e46327e46337f463480453581453781453882443983443a83443b84433d84433e85423f854240864241864142874144874045884046883f47883f48893e49893e4a893e4c8a3d4d8a3d4e8a3c4f8a3c508b3b518b3b528b3a538b3a548c39558c39568c38588c38598c375a8c375b8d365c8d365d8d355e8d355f8d34608d34618d33628d33638d32648e32658e31668e31678e31688e30698e306a8e2f6b8e2f6c8e2e6d8e2e6e8e2e6f8e2d708e2d718e2c718e2c728e2c738e2b748e2b758e2a768e2a778e2a788e29798e297a8e297b8e287c8e287d8e277e8e277f8e27808e26818e26828e26828e25838e25848e25858e24868e24878e23888e23898e238a8d228b8d228c8d228d8d218e8d218f8d21908d21918c20928c20928c20938c1f948c1f958b1f968b1f978b1f988b1f998a1f9a8a1e9b8a1e9c891e9d891f9e891f9f881fa0881fa1881fa1871fa28720a38620a48621a58521a68522a78522a88423a98324aa8325ab8225ac8226ad8127ad8128ae8029af7f2ab07f2cb17e2db27d2eb37c2fb47c31b57b32b67a34b67935b77937b87838b9773aba763bbb753dbc743fbc7340bd7242be7144bf7046c06f48c16e4ac16d4cc26c4ec36b50c46a52c56954c56856c66758c7655ac8645cc8635ec96260ca6063cb5f65cb5e67cc5c69cd5b6ccd5a6ece5870cf5773d05675d05477d1537ad1517cd2507fd34e81d34d84d44b86d54989d5488bd6468ed64590d74393d74195d84098d83e9bd93c9dd93ba0da39a2da37a5db36a8db34aadc32addc30b0dd2fb2dd2db5de2bb8de29bade28bddf26c0df25c2df23c5e021c8e020cae11fcde11dd0e11cd2e21bd5e21ad8e219dae319dde318dfe318e2e418e5e419e7e419eae51aece51befe51cf1e51df4e61ef6e620f8e621fbe723fde725";
// of the patterns of motion, from what moves away fastest to what comes nearer; told apart in all kinds of colour-blindness
export const PATTERNS = ["#8b2f2f", "#c05a3e", "#eb8f50", "#fcd028", "#c7fed7", "#4ebedd", "#0873c0", "#29318b"];
// of compared points: Okabe and Ito, without yellow, which is none on white
export const CHOSEN = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#7a5cc4"];
export const NONE = [58, 61, 66];

const bytes = (hex) => Array.from({ length: hex.length / 2 }, (_, i) => parseInt(hex.slice(2 * i, 2 * i + 2), 16));

function ramp(hex) {
  const stops = bytes(hex);
  const n = stops.length / 3;
  const found = new Uint8Array(256 * 3);
  for (let i = 0; i < 256; i++) {
    const at = (i / 255) * (n - 1);
    const left = Math.min(Math.floor(at), n - 2);
    for (let c = 0; c < 3; c++) {
      const a = stops[3 * left + c];
      found[3 * i + c] = Math.round(a + (at - left) * (stops[3 * left + 3 + c] - a));
    }
  }
  return found;
}

const TABLES = { signed: ramp(RED_BLUE), positive: Uint8Array.from(bytes(VIRIDIS)) };

// of a few whole numbers, from -1 for none
export const isSmall = ({ kind }) => kind === "class" || kind === "flag";

// 256 colours, three bytes each, of a kind of variable; of classes as many as there are, the last for none
export function table(kind, classes = 0) {
  if (kind !== "class") return TABLES[kind];
  const found = new Uint8Array(256 * 3);
  for (let i = 0; i < 256; i++) found.set(i < classes ? classColour(i, classes) : NONE, 3 * i);
  return found;
}

export function classColour(i, classes) {
  const last = PATTERNS.length - 1;
  if (classes <= PATTERNS.length) {
    const at = classes === 1 ? last - 1 : evenRound((i * last) / (classes - 1));
    return bytes(PATTERNS[at].slice(1));
  }
  const at = (i / (classes - 1)) * last;
  const left = Math.min(Math.floor(at), last - 1);
  const [a, b] = [bytes(PATTERNS[left].slice(1)), bytes(PATTERNS[left + 1].slice(1))];
  return a.map((from, c) => Math.round(from + (at - left) * (b[c] - from)));
}

// halves to the even neighbour, as NumPy rounds: the report's patterns have the same colours
function evenRound(x) {
  const down = Math.floor(x);
  return x - down === 0.5 ? down + (down % 2) : Math.round(x);
}

// place of a value in the table
export const place = (value, [low, high]) =>
  Math.min(Math.max(Math.floor(((value - low) / (high - low || 1)) * 255 + 0.5), 0), 255);

export function colourOf(value, kind, range, classes) {
  if (Number.isNaN(value) || (kind === "class" && value < 0)) return NONE;
  const at = kind === "class" ? value : place(value, range);
  return Array.from(table(kind, classes).slice(3 * at, 3 * at + 3));
}

export const css = ([r, g, b]) => `rgb(${r}, ${g}, ${b})`;
