"""Writes the public items of a rustdoc JSON file, one a line, sorted.

Called by ci/api, with one release of the compiler, whose format this reads. What
the macro `bitflags!` adds to every type is left out: it is the bitflags crate's.
A kind of item, type or bound that the crate has not needed yet stops it.
"""

import json
import sys

FORMAT = 57  # rustdoc 1.95
with open(sys.argv[1]) as file:
    crate = json.load(file)
if crate["format_version"] != FORMAT:
    sys.exit(f"this is format {crate['format_version']}, and {FORMAT} is understood")
index = {int(key): item for key, item in crate["index"].items()}
lines = []
sources = {}


def type_of(t):
    (kind, t), = t.items() if isinstance(t, dict) else [(t, None)]
    match kind:
        case "primitive" | "generic":
            return t
        case "resolved_path":
            return path(t)
        case "borrowed_ref":
            lifetime = t["lifetime"] + " " if t["lifetime"] else ""
            return f"&{lifetime}{'mut ' if t['is_mutable'] else ''}{type_of(t['type'])}"
        case "slice":
            return f"[{type_of(t)}]"
        case "array":
            return f"[{type_of(t['type'])}; {t['len']}]"
        case "tuple":
            return f"({', '.join(map(type_of, t))})"
        case "impl_trait":
            return "impl " + bounds(t)
        case "qualified_path":
            trait = f" as {path(t['trait'])}" if t["trait"] and t["trait"]["path"] else ""
            return f"<{type_of(t['self_type'])}{trait}>::{t['name']}"
    sys.exit(f"a kind of type that was not needed yet: {kind} {t}")


def path(p):
    return p["path"].split("::")[-1] + arguments(p["args"])


def arguments(args):
    if not args:
        return ""
    if "parenthesized" in args:
        args = args["parenthesized"]
        output = f" -> {type_of(args['output'])}" if args["output"] else ""
        return f"({', '.join(map(type_of, args['inputs']))}){output}"
    args = args["angle_bracketed"]
    parts = []
    for arg in args["args"]:
        (kind, arg), = arg.items() if isinstance(arg, dict) else [(arg, "_")]
        parts.append({"type": type_of, "lifetime": str, "const": lambda c: c["expr"], "infer": str}[kind](arg))
    for constraint in args["constraints"]:
        parts.append(f"{constraint['name']} = {type_of(constraint['binding']['equality']['type'])}")
    return f"<{', '.join(parts)}>" if parts else ""


def bounds(list_):
    parts = []
    for bound in list_:
        (kind, bound), = bound.items()
        if kind == "trait_bound":
            higher = names(bound["generic_params"])
            maybe = "?" if bound["modifier"] == "maybe" else ""
            parts.append((f"for{higher} " if higher else "") + maybe + path(bound["trait"]))
        elif kind == "outlives":
            parts.append(bound)
        else:
            sys.exit(f"a kind of bound that was not needed yet: {kind}")
    return " + ".join(parts)


def names(params):
    parts = []
    for param in params:
        (kind, what), = param["kind"].items()
        if kind == "lifetime":
            parts.append(param["name"])
        elif kind == "const":
            parts.append(f"const {param['name']}: {type_of(what['type'])}")
        elif not what["is_synthetic"]:
            text = param["name"]
            if what["bounds"]:
                text += ": " + bounds(what["bounds"])
            if what["default"]:
                text += " = " + type_of(what["default"])
            parts.append(text)
    return f"<{', '.join(parts)}>" if parts else ""


def where(generics):
    parts = []
    for predicate in generics["where_predicates"]:
        (kind, what), = predicate.items()
        if kind != "bound_predicate":
            sys.exit(f"a kind of predicate that was not needed yet: {kind}")
        parts.append(f"{type_of(what['type'])}: {bounds(what['bounds'])}")
    return " where " + ", ".join(parts) if parts else ""


def marks(item):
    """The attributes that a caller can tell."""
    attributes = [a if isinstance(a, str) else next(iter(a)) for a in item["attrs"]]
    return "".join(f"#[{a}] " for a in ("non_exhaustive", "must_use") if a in attributes)


def function(item, where_it_is, visibility="pub "):
    f = item["inner"]["function"]
    inputs = []
    for name, t in f["sig"]["inputs"]:
        t = type_of(t)
        self_forms = {"Self": "self", "&Self": "&self", "&mut Self": "&mut self"}
        inputs.append(self_forms.get(t, f"self: {t}") if name == "self" else f"{name}: {t}")
    output = f" -> {type_of(f['sig']['output'])}" if f["sig"]["output"] else ""
    const = "const " if f["header"]["is_const"] else ""
    signature = f"{names(f['generics']['params'])}({', '.join(inputs)}){output}{where(f['generics'])}"
    emit(where_it_is, item["name"], f"{marks(item)}{visibility}{const}fn {{}}{signature}")


def emit(where_it_is, name, line):
    full = "::".join([*where_it_is, name])
    lines.append((full, line.format(full)))


def from_bitflags(item):
    """Whether an item's source is the macro's call and no line of its own."""
    span = item["span"]
    if not span:
        return False
    if span["filename"] not in sources:
        with open(span["filename"]) as file:
            sources[span["filename"]] = file.read().splitlines()
    return sources[span["filename"]][span["begin"][0] - 1].startswith("bitflags!")


def implementations(item, here):
    for impl in map(index.get, item["impls"]):
        inner = impl["inner"]["impl"]
        if inner["blanket_impl"] or inner["trait"] and from_bitflags(impl):
            continue
        if not inner["trait"]:
            for member in map(index.get, inner["items"]):
                associated(member, here)
            continue
        trait = inner["trait"]["path"].split("::")[-1]
        if trait == "StructuralPartialEq" or inner["is_synthetic"] and trait not in ("Send", "Sync"):
            continue
        negative = "!" if inner["is_negative"] else ""
        line = f"impl{names(inner['generics']['params'])} {negative}{path(inner['trait'])} for {type_of(inner['for'])}{where(inner['generics'])}"
        lines.append(("::".join([*here, "impl"]), line))


def associated(member, here):
    if member["visibility"] not in ("public", "default"):
        return
    visibility = "pub " if member["visibility"] == "public" else ""
    (kind, inner), = member["inner"].items()
    if kind == "function":
        # `bits` stays, for the type of the bits.
        if member["name"] == "bits" or not from_bitflags(member):
            function(member, here, visibility)
    elif kind == "assoc_const":
        emit(here, member["name"], f"{visibility}const {{}}: {type_of(inner['type'])}")
    elif kind == "assoc_type":
        emit(here, member["name"], f"{visibility}type {{}}")
    else:
        sys.exit(f"a kind of member that was not needed yet: {kind}")


def visit(item, here):
    (kind, inner), = item["inner"].items()
    name = item["name"]
    if kind == "use":
        target = index.get(inner["id"])
        if target:
            visit(target, here)
        else:
            emit(here, inner["name"], f"pub use {{}} = {inner['source']}")
    elif kind == "module":
        emit(here, name, "pub mod {}")
        for child in inner["items"]:
            visit(index[child], [*here, name])
    elif kind == "function":
        function(item, here)
    elif kind == "constant":
        emit(here, name, f"pub const {{}}: {type_of(inner['type'])}")
    elif kind in ("struct", "enum"):
        generics = names(inner["generics"]["params"])
        emit(here, name, f"{marks(item)}pub {kind} {{}}{generics}{where(inner['generics'])}")
        inside = [*here, name]
        if kind == "enum":
            for variant in map(index.get, inner["variants"]):
                shape = variant["inner"]["variant"]["kind"]
                fields = ""
                if shape != "plain":
                    fields = [type_of(index[f]["inner"]["struct_field"]) for f in shape["tuple"]]
                    fields = f"({', '.join(fields)})"
                emit(inside, variant["name"], f"{marks(variant)}{{}}{fields}")
        elif isinstance(inner["kind"], dict) and "plain" in inner["kind"]:
            for field in map(index.get, inner["kind"]["plain"]["fields"]):
                emit(inside, field["name"], f"pub {{}}: {type_of(field['inner']['struct_field'])}")
        implementations(inner, inside)
    elif kind == "trait":
        super_traits = f": {bounds(inner['bounds'])}" if inner["bounds"] else ""
        emit(here, name, f"pub trait {{}}{names(inner['generics']['params'])}{super_traits}{where(inner['generics'])}")
        for member in map(index.get, inner["items"]):
            associated(member, [*here, name])
        for impl in map(index.get, inner["implementations"]):
            implementation = impl["inner"]["impl"]
            target = implementation["for"].get("resolved_path", {}).get("id")
            # Those for this crate's types are listed with the types.
            if target not in index:
                line = f"impl{names(implementation['generics']['params'])} {path(implementation['trait'])} for {type_of(implementation['for'])}{where(implementation['generics'])}"
                lines.append(("::".join([*here, name, "impl"]), line))
    else:
        sys.exit(f"a kind of item that was not needed yet: {kind} {name}")


visit(index[crate["root"]], [])
for _, line in sorted(set(lines)):
    print(line)
