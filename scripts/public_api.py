#!/usr/bin/env python3
"""Prints every public item of a crate, sorted, from rustdoc's JSON, and which other crates' types are
among them. Paths of other crates are shortened to crate and name, so that the listing depends neither
on the toolchain nor on where a dependency keeps a type.

    public_api.py target/doc/CRATE.json
"""

import json
import sys

# What the versions of the format that this was tried with have in common.
FORMATS = range(45, 70)
STD = {"core", "alloc", "std"}
# Comes with `#[derive(PartialEq)]`, and nobody can name it.
UNNAMED_TRAITS = {"StructuralPartialEq"}


def kind_of(item):
    return next(iter(item["inner"].items()))


def joined(parts, separator=", "):
    return separator.join(part for part in parts if part)


class Types:
    """Writes types, bounds and signatures, and notes whose types they are."""

    def __init__(self, doc):
        self.doc = doc
        self.foreign = set()
        own = [item for item in doc["index"].values() if item["crate_id"] == 0 and item["name"]]
        self.own_names = {item["name"] for item in own}

    def path(self, path):
        return self.name(path) + self.args(path.get("args"))

    def name(self, path):
        known = self.doc["paths"].get(str(path["id"]))
        short = path["path"].split("::")[-1]
        if known is None or known["crate_id"] == 0:
            return short
        crate = self.doc["external_crates"][str(known["crate_id"])]["name"]
        if crate in STD:
            return f"std::{short}" if short in self.own_names else short
        self.foreign.add(crate)
        return f"{crate}::{known['path'][-1]}"

    def args(self, args):
        if not args:
            return ""
        if "parenthesized" in args:
            args = args["parenthesized"]
            return f"({joined(map(self.type, args['inputs']))}){self.output(args['output'])}"
        args = args["angle_bracketed"]
        inner = [self.arg(arg) for arg in args["args"]]
        inner += [self.constraint(constraint) for constraint in args["constraints"]]
        return f"<{joined(inner)}>" if inner else ""

    def arg(self, arg):
        if arg == "infer":
            return "_"
        kind, value = next(iter(arg.items()))
        if kind == "type":
            return self.type(value)
        return value["expr"] if kind == "const" else value

    def constraint(self, constraint):
        kind, value = next(iter(constraint["binding"].items()))
        name = constraint["name"] + self.args(constraint.get("args"))
        if kind == "equality":
            return f"{name} = {self.arg(value)}"
        return f"{name}: {self.bounds(value)}"

    def type(self, type_):
        if type_ == "infer":
            return "_"
        kind, value = next(iter(type_.items()))
        match kind:
            case "resolved_path":
                return self.path(value)
            case "generic" | "primitive":
                return value
            case "tuple":
                return f"({joined(map(self.type, value))})"
            case "slice":
                return f"[{self.type(value)}]"
            case "array":
                return f"[{self.type(value['type'])}; {value['len']}]"
            case "impl_trait":
                return f"impl {self.bounds(value)}"
            case "dyn_trait":
                traits = [self.bound_trait(bound) for bound in value["traits"]]
                return f"dyn {joined([*traits, value['lifetime']], ' + ')}"
            case "borrowed_ref":
                return f"&{self.reference(value, '')}"
            case "raw_pointer":
                return f"*{'mut' if value['is_mutable'] else 'const'} {self.type(value['type'])}"
            case "qualified_path":
                return self.projection(value)
            case "function_pointer":
                return f"fn{self.signature(value['sig'])}"
        raise SystemExit(f"a type of an unknown kind: {kind}")

    def reference(self, value, inner):
        mutable = "mut " if value["is_mutable"] else ""
        lifetime = f"{value['lifetime']} " if value["lifetime"] else ""
        return f"{lifetime}{mutable}{inner or self.type(value['type'])}"

    def projection(self, value):
        of = self.type(value["self_type"])
        if value["trait"] and value["trait"]["path"]:
            of = f"<{of} as {self.path(value['trait'])}>"
        return f"{of}::{value['name']}{self.args(value.get('args'))}"

    def bound_trait(self, bound):
        return self.binder(bound["generic_params"]) + self.path(bound["trait"])

    def binder(self, params):
        return f"for<{joined(param['name'] for param in params)}> " if params else ""

    def bounds(self, bounds):
        return joined((self.bound(bound) for bound in bounds), " + ")

    def bound(self, bound):
        kind, value = next(iter(bound.items()))
        if kind == "outlives":
            return value
        if kind == "use":
            return ""
        mark = {"none": "", "maybe": "?", "maybe_const": ""}[value["modifier"]]
        return mark + self.bound_trait(value)

    def params(self, generics):
        written = [self.param(param) for param in generics["params"]]
        inner = joined(written)
        return f"<{inner}>" if inner else ""

    def param(self, param):
        kind, value = next(iter(param["kind"].items()))
        name = param["name"]
        if kind == "lifetime":
            return f"{name}: {' + '.join(value['outlives'])}" if value["outlives"] else name
        if kind == "const":
            return f"const {name}: {self.type(value['type'])}"
        if value["is_synthetic"]:
            return ""
        bounds = f": {self.bounds(value['bounds'])}" if value["bounds"] else ""
        default = f" = {self.type(value['default'])}" if value["default"] else ""
        return name + bounds + default

    def where(self, generics):
        written = joined(self.predicate(one) for one in generics["where_predicates"])
        return f" where {written}" if written else ""

    def predicate(self, predicate):
        kind, value = next(iter(predicate.items()))
        if kind == "bound_predicate":
            binder = self.binder(value["generic_params"])
            return f"{binder}{self.type(value['type'])}: {self.bounds(value['bounds'])}"
        if kind == "lifetime_predicate":
            return f"{value['lifetime']}: {' + '.join(value['outlives'])}"
        return f"{self.type(value['lhs'])} = {self.arg(value['rhs'])}"

    def output(self, output):
        return f" -> {self.type(output)}" if output else ""

    def signature(self, signature):
        inputs = joined(self.input(name, type_) for name, type_ in signature["inputs"])
        return f"({inputs}){self.output(signature['output'])}"

    def input(self, name, type_):
        if name != "self":
            return f"{name}: {self.type(type_)}"
        if type_ == {"generic": "Self"}:
            return "self"
        if reference := type_.get("borrowed_ref"):
            if reference["type"] == {"generic": "Self"}:
                return f"&{self.reference(reference, 'self')}"
        return f"self: {self.type(type_)}"


class Listing:
    """Walks a crate from its root and writes a line for each public item."""

    def __init__(self, doc):
        self.index = doc["index"]
        self.types = Types(doc)
        self.lines = set()
        self.module(self.index[str(doc["root"])], "")

    def item(self, id_):
        return self.index.get(str(id_))

    def add(self, path, line):
        # The item itself, then what is implemented for it.
        self.lines.add((path, line.startswith("impl"), line))

    def module(self, item, prefix):
        for id_ in item["inner"]["module"]["items"]:
            child = self.item(id_)
            if child is not None:
                self.visible(child, prefix)

    def visible(self, item, prefix):
        kind, value = kind_of(item)
        if kind != "use":
            self.named(item, prefix + item["name"])
            return
        target = self.item(value["id"])
        if target is None:
            self.add(prefix + value["name"], f"pub use {value['source']} as {prefix}{value['name']}")
        elif value["is_glob"]:
            self.module(target, prefix)
        else:
            self.named(target, prefix + value["name"])

    def named(self, item, path):
        kind, value = kind_of(item)
        match kind:
            case "module":
                self.add(path, f"pub mod {path}")
                self.module(item, f"{path}::")
            case "struct" | "enum" | "union":
                self.type_item(item, kind, value, path)
            case "trait":
                self.trait(value, path)
            case "function":
                self.function(value, path, "pub ")
            case "type_alias":
                head = path + self.types.params(value["generics"])
                self.add(path, f"pub type {head} = {self.types.type(value['type'])}")
            case "constant" | "static":
                self.add(path, f"pub {kind} {path}: {self.types.type(value['type'])}")
            case _:
                self.add(path, f"pub {kind} {path}")

    def type_item(self, item, kind, value, path):
        attributes = "#[non_exhaustive] " if "non_exhaustive" in item["attrs"] else ""
        generics = value["generics"]
        head = path + self.types.params(generics) + self.types.where(generics)
        self.add(path, f"{attributes}pub {kind} {head}{self.fields(value, path)}")
        for id_ in value.get("variants", []):
            self.variant(self.item(id_), path)
        for id_ in value["impls"]:
            self.impl(self.item(id_), path)

    def fields(self, value, path):
        """A tuple's fields, to stand behind its name; fields with names become lines of their own."""
        kind = value.get("kind")
        if not isinstance(kind, dict):
            return ""
        if "tuple" in kind:
            return f"({joined('_' if id_ is None else self.field(id_) for id_ in kind['tuple'])})"
        (_, inner), = kind.items()
        for id_ in inner["fields"]:
            name = f"{path}::{self.item(id_)['name']}"
            self.add(name, f"pub {name}: {self.field(id_)}")
        hidden = inner.get("has_stripped_fields", False)
        return " { .. }" if hidden else ""

    def field(self, id_):
        return self.types.type(self.item(id_)["inner"]["struct_field"])

    def variant(self, item, enum):
        path = f"{enum}::{item['name']}"
        attributes = "#[non_exhaustive] " if "non_exhaustive" in item["attrs"] else ""
        self.add(path, f"{attributes}pub {path}{self.fields(item['inner']['variant'], path)}")

    def trait(self, value, path):
        types = self.types
        bounds = f": {types.bounds(value['bounds'])}" if value["bounds"] else ""
        head = path + types.params(value["generics"]) + bounds + types.where(value["generics"])
        self.add(path, f"pub trait {head}")
        for id_ in value["items"]:
            self.member(self.item(id_), path, "")
        for id_ in value["implementations"]:
            impl = self.item(id_)
            if impl is not None and self.is_foreign(impl["inner"]["impl"]["for"]):
                self.impl(impl, path)

    def is_foreign(self, type_):
        """Whether no type of the crate lists its implementations itself."""
        path = type_.get("resolved_path")
        return path is None or self.item(path["id"]) is None

    def member(self, item, owner, visibility):
        if item is None:
            return
        kind, value = kind_of(item)
        path = f"{owner}::{item['name']}"
        if kind == "function":
            # What a trait provides and what it asks for is a difference to those who implement it.
            provided = " { .. }" if not visibility and value["has_body"] else ""
            self.function(value, path, visibility, provided)
        elif kind == "assoc_type":
            bounds = f": {self.types.bounds(value['bounds'])}" if value["bounds"] else ""
            is_ = f" = {self.types.type(value['type'])}" if value["type"] else ""
            self.add(path, f"type {path}{self.types.params(value['generics'])}{bounds}{is_}")
        elif kind == "assoc_const":
            self.add(path, f"{visibility}const {path}: {self.types.type(value['type'])}")

    def function(self, value, path, visibility, provided=""):
        header, types = value["header"], self.types
        words = [word for word in ("const", "async", "unsafe") if header[f"is_{word}"]]
        head = visibility + joined([*words, "fn"], " ")
        generics = types.params(value["generics"])
        rest = types.signature(value["sig"]) + types.where(value["generics"])
        self.add(path, f"{head} {path}{generics}{rest}{provided}")

    def impl(self, item, owner):
        value = item["inner"]["impl"]
        trait = value["trait"]
        if value["is_synthetic"] or value["blanket_impl"] is not None:
            return
        if trait is None:
            self.inherent(value, owner)
        elif trait["path"].split("::")[-1] not in UNNAMED_TRAITS:
            self.trait_impl(value, owner)

    def inherent(self, value, owner):
        # Which of several blocks a method stands in shows in the block's bounds.
        head = self.types.params(value["generics"]) + self.types.where(value["generics"])
        if head:
            self.add(owner, f"impl{head} {self.types.type(value['for'])}")
        for id_ in value["items"]:
            self.member(self.item(id_), owner, "pub ")

    def trait_impl(self, value, owner):
        types = self.types
        sign = "!" if value["is_negative"] else ""
        head = f"impl{types.params(value['generics'])} {sign}{types.path(value['trait'])}"
        members = [self.item(id_) for id_ in value["items"]]
        named = [item for item in members if item and kind_of(item)[0] == "assoc_type"]
        written = joined(
            f"{item['name']} = {types.type(item['inner']['assoc_type']['type'])}" for item in named
        )
        body = f" {{ {written} }}" if written else ""
        where = types.where(value["generics"])
        if "::__" in where or "<__" in where:
            return  # A macro's own bounds, on types that nobody can name.
        self.add(owner, f"{head} for {types.type(value['for'])}{where}{body}")


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        doc = json.load(file)
    if doc["format_version"] not in FORMATS:
        raise SystemExit(f"rustdoc's JSON is of the unknown version {doc['format_version']}")
    listing = Listing(doc)
    lines = [line for _, _, line in sorted(listing.lines)]
    crates = [
        crate
        for crate in sorted(listing.types.foreign)
        if any(f"{crate}::" in line for line in lines)
    ]
    print(f"# Other crates with types among these: {joined(crates)}")
    print("\n".join(lines))


main()
