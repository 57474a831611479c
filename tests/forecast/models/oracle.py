"""The specification of the Spacetimeformers written plainly: loops over groups, points and heads, explicit softmax.

A point that is absent does not exist here: groups are lists of their present points. Weights are those of our networks,
by name; tokens of a group are (L, T, D).
"""

import math

import torch


def spacetimeformer(model, batch, training=False):
    """Forecast of the published network: a list of (present points, h), one a group."""
    weights, here = named(model), present_points(batch)
    groups = range(len(here))
    source, target = [], []
    for group in groups:
        context = batch["context_time"][group], batch["target_time"][group]
        values, given = batch["values"][group][here[group]], batch["given"][group][here[group]]
        ahead = torch.zeros(len(values), len(context[1]), dtype=values.dtype)
        source.append(published_tokens(weights, "embed_context.", values, given, context[0], here[group]))
        target.append(published_tokens(weights, "embed_target.", ahead, ahead.bool(), context[1], here[group]))
    decoded = encode_decode(weights, source, target, model, training)
    return [linear(weights, "head", tokens)[..., 0] for tokens in decoded]


def patched(model, batch, training=False):
    """Correction of the network on patches: a list of (present points, h), one a group."""
    weights, here = named(model), present_points(batch)
    horizon = batch["target_time"].shape[1]
    source, target = [], []
    for group in range(len(here)):
        points = about_points(weights, batch, group, here[group])
        pick = {name: batch[name][group][here[group]] for name in ("values", "given", "baseline")}
        channels = [pick["values"], pick["given"].to(pick["values"].dtype)]
        times = batch["context_time"][group], batch["target_time"][group]
        source.append(patch_tokens(weights, "embed_context.", channels, times[0], model.patch, points, old=True))
        target.append(patch_tokens(weights, "embed_target.", [pick["baseline"]], times[1], model.patch, points, False))
    decoded = encode_decode(weights, source, target, model, training)
    return [linear(weights, "head", tokens).flatten(1)[:, :horizon] for tokens in decoded]


def encode_decode(weights, source, target, model, training):
    heads = model.encoder.layers[0].local_self.heads
    for layer in range(len(model.encoder.layers)):
        at = f"encoder.layers.{layer}."
        source = add(
            source, each_point(weights, f"{at}local_self.", normed(weights, f"{at}norms.0.", source, training), heads)
        )
        source = add(
            source, all_points(weights, f"{at}global_self.", normed(weights, f"{at}norms.1.", source, training), heads)
        )
        source = add(source, feed_forward(weights, at, normed(weights, f"{at}norms.2.", source, training)))
    memory = normed(weights, "encoder.norm.", source, training)
    for layer in range(len(model.decoder.layers)):
        at = f"decoder.layers.{layer}."
        target = add(
            target, each_point(weights, f"{at}local_self.", normed(weights, f"{at}norms.0.", target, training), heads)
        )
        target = add(
            target, all_points(weights, f"{at}global_self.", normed(weights, f"{at}norms.1.", target, training), heads)
        )
        target = add(
            target,
            each_point(weights, f"{at}local_cross.", normed(weights, f"{at}norms.2.", target, training), heads, memory),
        )
        target = add(
            target,
            all_points(
                weights, f"{at}global_cross.", normed(weights, f"{at}norms.3.", target, training), heads, memory
            ),
        )
        target = add(target, feed_forward(weights, at, normed(weights, f"{at}norms.4.", target, training)))
    return normed(weights, "decoder.norm.", target, training)


def published_tokens(weights, at, values, given, times, here):
    """Value and calendar through one linear map, position, given or not, point of the group."""
    tokens = []
    for row, point in enumerate(here):
        for step in range(values.shape[1]):
            calendar = []
            for feature, x in enumerate(times[step]):
                line = weights[f"{at}calendar.weight"][feature] * x + weights[f"{at}calendar.bias"][feature]
                calendar += [line[:1], torch.sin(line[1:])]
            token = linear(weights, f"{at}time", torch.cat(calendar)) + values[row, step] * weights[f"{at}value"]
            token = token + weights[f"{at}position.weight"][step] + weights[f"{at}given.weight"][int(given[row, step])]
            tokens.append(token + weights[f"{at}point.weight"][point])
    return (
        torch.stack(tokens).view(*values.shape, -1)
        if tokens
        else values.new_zeros(*values.shape, len(weights[f"{at}value"]))
    )


def about_points(weights, batch, group, here):
    """Place, pattern and statics of each present point."""
    wavelengths = [50 * 40 ** (i / 5) for i in range(6)]  # 50 m to 2 km
    points = []
    for point in here:
        x, y = batch["places"][group, point]
        angles = torch.stack([2 * math.pi * c / wave for c in (x, y) for wave in wavelengths])
        place = linear(weights, "place.0", torch.cat([torch.sin(angles), torch.cos(angles)]))
        place = linear(weights, "place.2", gelu(place)) + weights["pattern.weight"][batch["pattern"][group, point]]
        points.append(place + linear(weights, "known", batch["known"][group, point]))
    return points


def patch_tokens(weights, at, channels, times, patch, points, old):
    """Tokens of whole patches; missing steps are zeros, before the first step or after the last."""
    steps = channels[0].shape[1]
    missing = -steps % patch
    spare = (missing, 0) if old else (0, missing)
    where = [None] * spare[0] + list(range(steps)) + [None] * spare[1]
    tokens = []
    for row, about in enumerate(points):
        for number, start in enumerate(range(0, len(where), patch)):
            inside = where[start : start + patch]
            zero = times.new_zeros(())
            content = [zero if step is None else channel[row, step] for step in inside for channel in channels]
            calendar = [torch.zeros_like(times[0]) if step is None else times[step] for step in inside]
            token = linear(weights, f"{at}value", torch.stack(content)) + linear(
                weights, f"{at}time", torch.cat(calendar)
            )
            tokens.append(token + weights[f"{at}position"][number] + about)
    width = weights[f"{at}position"].shape[1]
    return (
        torch.stack(tokens).view(len(points), -1, width) if tokens else times.new_zeros(0, len(where) // patch, width)
    )


def each_point(weights, at, groups, heads, memories=None):
    """Attention over a point's own tokens, or over its own tokens of the encoder."""
    out = []
    for group, tokens in enumerate(groups):
        memory = tokens if memories is None else memories[group]
        mixed = [attention(weights, at, tokens[point], memory[point], heads) for point in range(len(tokens))]
        out.append(torch.stack(mixed) if mixed else tokens)
    return out


def all_points(weights, at, groups, heads, memories=None):
    """Attention over all tokens of a group, or over all its tokens of the encoder."""
    out = []
    for group, tokens in enumerate(groups):
        memory = tokens if memories is None else memories[group]
        mixed = [attention(weights, at, tokens.flatten(0, 1), memory.flatten(0, 1), heads)] if len(tokens) else [tokens]
        out.append(mixed[0].view(tokens.shape))
    return out


def attention(weights, at, x, memory, heads):
    """softmax(Q K' / √dh) V head by head; x (S, D), memory (M, D)."""
    if f"{at}query.weight" in weights:
        queries = linear(weights, f"{at}query", x)
        keys, values = linear(weights, f"{at}key_value", memory).chunk(2, dim=1)
    else:
        queries, keys, values = linear(weights, f"{at}query_key_value", x).chunk(3, dim=1)
    width = queries.shape[1] // heads
    mixed = []
    for head in range(heads):
        part = slice(head * width, (head + 1) * width)
        scores = queries[:, part] @ keys[:, part].T / math.sqrt(width)
        scores = torch.exp(scores - scores.amax(1, keepdim=True))
        mixed.append(scores / scores.sum(1, keepdim=True) @ values[:, part])
    return linear(weights, f"{at}out", torch.cat(mixed, dim=1))


def feed_forward(weights, at, groups):
    at = f"{at}feed_forward."
    return [linear(weights, f"{at}narrow", gelu(linear(weights, f"{at}widen", tokens))) for tokens in groups]


def normed(weights, at, groups, training):
    """Batch normalisation, where running means are among the weights, else layer normalisation."""
    scale, shift = weights[f"{at}norm.weight"], weights[f"{at}norm.bias"]
    if f"{at}norm.running_mean" not in weights:
        mean = [tokens.mean(-1, keepdim=True) for tokens in groups]
        spread = [((tokens - m) ** 2).mean(-1, keepdim=True) for tokens, m in zip(groups, mean, strict=True)]
    elif training:
        rows = torch.cat([tokens.flatten(0, 1) for tokens in groups])
        mean = [rows.mean(0)] * len(groups)
        spread = [((rows - rows.mean(0)) ** 2).mean(0)] * len(groups)
    else:
        mean = [weights[f"{at}norm.running_mean"]] * len(groups)
        spread = [weights[f"{at}norm.running_var"]] * len(groups)
    together = zip(groups, mean, spread, strict=True)
    return [(tokens - m) / torch.sqrt(s + 1e-5) * scale + shift for tokens, m, s in together]


def named(model):
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}


def present_points(batch):
    return [row.nonzero()[:, 0].tolist() for row in batch["present"]]


def linear(weights, at, x):
    return x @ weights[f"{at}.weight"].T + weights[f"{at}.bias"]


def gelu(x):
    return x * (1 + torch.erf(x / math.sqrt(2))) / 2


def add(groups, others):
    return [tokens + other for tokens, other in zip(groups, others, strict=True)]
