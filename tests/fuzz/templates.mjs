// Changes of chat templates: of their tokens, with pieces of Jinja, and of the file that a bundle has them in.

import { changeBytes } from "./random.mjs";

/** Longer templates say nothing more. */
const MAX_LENGTH = 1 << 18;

const ATOMS = [
  ..."messages tools documents message loop ns x s l d add_generation_prompt missing true none 0 1 -1 0.5 1e308".split(
    " ",
  ),
  "9223372036854775807",
  "-9223372036854775808",
  "99999999999999999999",
  "''",
  "'a'",
  "'\\u0301\u{1f44d}\\ud800'",
  "'%s %5.3f'",
  "'{:>9}{0.a[b]!r}'",
  "[]",
  "[1, 'a', [none]]",
  "{}",
  "{'a': 1, 2: []}",
  "(1, 2)",
  "range(10)",
  "range(5, 0, -2)",
  "namespace(a=1)",
  "messages[0]",
  "messages[0].content",
  "messages | length",
  "('a' * 9999)",
  "range(99999)",
  "raise_exception('no')",
  "strftime_now('%Y %j %c')",
  "joiner(', ')",
  "cycler(1, 2)",
  "dict(a=1)",
  "lipsum",
  "loop.index",
  "loop.cycle(1, 2)",
  "loop(x)",
  "caller()",
  "self.b()",
  "super()",
  "m(m)",
  "varargs",
];
const OPERATORS = "+ - * / // % ** ~ == != < <= > >= and or in | . , = : is"
  .split(" ")
  .concat("not in", "is not", "if", "else");
const METHODS = (
  "upper() lower() title() strip('a') split() split('',1) rsplit('a') splitlines(true) partition('a') replace('','ab') " +
  "replace('a','aa') find('a',-5,99) rindex('a') count('') startswith(('a',1)) zfill(999) center(99999999) ljust(-1) " +
  "expandtabs(99999) format(1,a=2) format_map(d) join('abc') items() keys() get('a') pop() append(1) copy() index(1) " +
  "__class__ a.b 0 isdigit() translate({}) encode() removeprefix('a') capitalize() casefold() swapcase() isidentifier()"
).split(" ");
const FILTERS = (
  "upper lower title capitalize trim length first last list reverse|list join join('','a') sort sort(attribute='a.b') " +
  "unique|list map('upper')|list map(attribute='content')|list select|list select('odd')|list reject('string')|list " +
  "selectattr('role','equalto','user')|list rejectattr('x')|list default('a',true) int int('x',99) int(0,36) float round " +
  "round(99) round(-400,'ceil') abs string tojson tojson(indent=99) tojson(indent=-1) batch(2)|list batch(0)|list " +
  "slice(0)|list slice(3,1)|list slice(99999999)|list sum sum('a') sum(start=[]) min max dictsort dictsort(true,'value') " +
  "items|list indent indent(99999) truncate(0) truncate(-5) truncate(9,true,'','x') wordcount center(99) replace('a','aaaa') " +
  "replace('','b',-1) format(1) escape safe forceescape striptags urlencode urlize filesizeformat xmlattr pprint wordwrap(0) " +
  "wordwrap(-1) wordwrap(3,true,'ab') groupby('role')|list attr('upper') random nope e d"
).split(" ");
const TESTS = (
  "defined none string number mapping sequence iterable callable odd even divisibleby(0) divisibleby(3) eq(1) in([1]) " +
  "sameas(1) lower filter test escaped lt('a') nope"
).split(" ");
const RAW = [
  "{{",
  "}}",
  "{%",
  "%}",
  "{#",
  "#}",
  "{%-",
  "-%}",
  "{{-",
  "-}}",
  "{%+",
  "+%}",
  "'",
  '"',
  "\\",
  "\0",
  "\r",
  "\n",
  "\u{1f44d}",
];

/** A file made of one, with parts of another. Both are the texts of templates, or files of a bundle. */
export function changeTemplate(random, file, other) {
  if (file.json) return { json: true, text: changeFile(random, file.text, other.text) };
  const source = changeSource(random, file.text, other.text);
  // Some templates come in a file with settings.
  if (random.chance(0.9)) return { json: false, text: source };
  return { json: true, text: changeFile(random, wrapped(source), other.text) };
}

/** The file of a bundle for a template. */
export function wrapped(source) {
  return JSON.stringify({
    templates: [{ name: "default", file: "chat_template.jinja", source }],
    variables: { bos_token: "<s>", eos_token: "</s>" },
    content: "any",
    by_tools: true,
  });
}

function changeFile(random, text, other) {
  const odd = () => random.pick(["text", "parts", "any", null, 1, "", [], {}, other, [null], { content: {} }, "1e999"]);
  try {
    const file = JSON.parse(text);
    for (let at = file; typeof at === "object" && at !== null;) {
      const key = random.pick([...Object.keys(at), "content", "x"]);
      if (typeof at[key] === "object" && random.chance(0.6)) at = at[key];
      else {
        if (random.chance(0.8)) at[key] = odd();
        break;
      }
    }
    text = JSON.stringify(file);
  } catch {
    // Then its bytes are all there is.
  }
  return random.chance(0.3) ? changeBytes(random, text, other) : text;
}

function changeSource(random, text, other) {
  let changed = random.chance(0.15) ? "" : text;
  if (random.chance(0.85)) changed = changeTokens(random, changed, other);
  if (random.chance(0.25)) changed = changeBytes(random, changed, other);
  return changed.slice(0, MAX_LENGTH);
}

const TOKEN = /\{[{%#][-+]?|[-+]?[}%#]\}|'[^']*'|"[^"]*"|\w+|\s+|./gsu;

function changeTokens(random, text, other) {
  const [tokens, given] = [text, other].map((t) => t.match(TOKEN) ?? []);
  for (let left = 1 + random.below(random.chance(0.6) ? 3 : 10); left > 0; left--) {
    const [from, count] = random.range(tokens.length);
    random.pick(CHANGES)(random, tokens, { from, count }, given);
  }
  return tokens.join("");
}

const CHANGES = [
  (random, tokens, { from, count }) => tokens.splice(from, count),
  (random, tokens, { from, count }) => {
    const times = random.chance(0.2) ? 200 : 2;
    const again = tokens.slice(from, from + count);
    tokens.splice(from, 0, ...Array.from({ length: times }, () => again).flat());
  },
  (random, tokens, { from, count }, given) => {
    const [begin, length] = random.range(given.length, 200);
    tokens.splice(from, random.chance(0.5) ? count : 0, ...given.slice(begin, begin + length));
  },
  (random, tokens, { from }) => tokens.splice(from, 1, random.pick([...ATOMS, ...OPERATORS, ...RAW])),
  (random, tokens, { from }) => tokens.splice(from, 0, ` ${expression(random, 2)} `),
  (random, tokens, { from }) => tokens.splice(from, 0, statement(random, 3)),
  (random, tokens, { from }) => tokens.splice(from, 0, statement(random, 3)),
  (random, tokens) => tokens.push(random.pick(HEAVY)(random)),
];

function expression(random, depth) {
  if (depth === 0) return random.pick(ATOMS);
  const inner = () => expression(random, depth - 1);
  return random.pick([
    () => random.pick(ATOMS),
    () => `(${inner()} ${random.pick(OPERATORS)} ${inner()})`,
    () => `${inner()}.${random.pick(METHODS)}`,
    () => `(${inner()} | ${random.pick(FILTERS)})`,
    () => `(${inner()} | ${random.pick(FILTERS)} | ${random.pick(FILTERS)})`,
    () => `(${inner()} is ${random.pick(["", "not "])}${random.pick(TESTS)})`,
    () => `${inner()}[${random.pick(["0", "-1", "::-1", "::0", "9999:-9999:-3", ":", "'a'"])}]`,
    () => `${inner()}[${inner()}]`,
    () => `(${inner()} if ${inner()} else ${inner()})`,
    () => `[${inner()}, ${inner()}]`,
    () => `{${inner()}: ${inner()}}`,
    () => `${inner()}(${inner()}, a=${inner()}, *${inner()})`,
    () => `(not ${inner()})`,
    () => `-${inner()}`,
  ])();
}

function statement(random, depth) {
  if (depth === 0) return random.pick(["text\n", "{{ x }}", "{{ loop.index }}", "{% break %}", "{% continue %}", " "]);
  const value = () => expression(random, random.below(3));
  const body = () => statement(random, depth - 1) + (random.chance(0.3) ? statement(random, depth - 1) : "");
  const name = () => random.pick(["x", "s", "l", "ns", "d", "loop", "messages", "m", "ns.a", "x, s"]);
  return random.pick([
    () => `{{ ${value()} }}`,
    () => `{% if ${value()} %}${body()}{% elif ${value()} %}${body()}{% else %}${body()}{% endif %}`,
    () => `{% for ${name()} in ${value()} %}${body()}{% else %}${body()}{% endfor %}`,
    () => `{% for ${name()} in ${value()} if ${value()} recursive %}${body()}{{ loop(${value()}) }}{% endfor %}`,
    () => `{% for x in messages %}{{ loop.${random.pick(LOOP)} }}${body()}{% endfor %}`,
    () => `{% set ${name()} = ${value()} %}`,
    () => `{% set ${name()} | ${random.pick(FILTERS)} %}${body()}{% endset %}`,
    () => `{% with ${name()} = ${value()} %}${body()}{% endwith %}`,
    () => `{% macro m(x, s=${value()}) %}${body()}{{ caller() }}{% endmacro %}{{ m(${value()}) }}`,
    () => `{% call(x) m(${value()}) %}${body()}{% endcall %}`,
    () => `{% filter ${random.pick(FILTERS)} %}${body()}{% endfilter %}`,
    () => `{% generation %}${body()}{% endgeneration %}`,
    () => `{% block b %}${body()}{% endblock %}`,
    () => `{% autoescape ${value()} %}${body()}{% endautoescape %}`,
    () => `{% raw %}${body()}{% endraw %}`,
    () => `{#${body()}#}`,
  ])();
}

const LOOP = [
  "length",
  "last",
  "previtem",
  "nextitem",
  "changed(x)",
  "depth",
  "revindex",
  "cycle()",
  "first",
  "index0",
];

/** Much work, or much nesting, in few letters. */
const HEAVY = [
  (r) => around("{% for a in range(99) %}", "x", "{% endfor %}", r.pick([2, 3, 5, 99, 200])),
  (r) => around("{% if 1 %}", "x", "{% endif %}", r.pick([50, 99, 101, 3000])),
  (r) => around("{% for a in messages recursive %}", "{{ loop(messages) }}", "{% endfor %}", r.pick([1, 2, 60])),
  (r) => `{% set ns = namespace(s='${"ab".repeat(r.pick([1, 500]))}') %}${doubling(r)}{{ ns.s | length }}`,
  (r) => `{% set ns = namespace(s=[1]) %}${doubling(r)}{{ ns.s }}`,
  (r) =>
    `{% set ns = namespace(l=[]) %}{% for i in range(${r.pick([150, 199, 300])}) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l | ${r.pick(FILTERS)} }}`,
  (r) =>
    `{% set ns = namespace() %}{% set ns.a = ${r.pick(["ns", "[ns]", "{'a': ns}"])} %}{{ ns.a | ${r.pick(FILTERS)} }}{{ ns == ns.a }}`,
  (r) =>
    `{% macro m(x) %}${r.pick(["{{ m(x) }}", "{{ m([x]) }}", "{% call m(x) %}{{ caller() }}{% endcall %}"])}{% endmacro %}{{ m(1) }}`,
  (r) =>
    `{{ ${around(r.pick(["(", "[", "-", "not ", "{1:", "x[", "1+(", "f(", "'a' if ("]), "1", r.pick([")", "]", "}", "", " else 1)"]), r.pick(DEPTHS))} }}`,
  (r) =>
    `{{ 1${r.pick([".a", "[0]", "()", "|list", "+1", "**2", " is defined", " if 1 else 2", "~1", ", 1"]).repeat(r.pick(DEPTHS))} }}`,
  (r) => `{{ ${r.pick(["'a'", "[1]", "(1,)"])} * ${r.pick(["10 ** 6", "10 ** 8", "10 ** 18", "-1", "2 ** 62"])} }}`,
  (r) => `{{ (messages * ${r.pick([10, 9999, 99999])}) | ${r.pick(FILTERS)} | ${r.pick(FILTERS)} }}`,
  (r) =>
    `{{ ('${r.pick(["a", "\u0130", "\ufb03", "<", "a "])}' * ${r.pick([999, 99999, 9999999])}) | ${r.pick(FILTERS)} | ${r.pick(FILTERS)} }}`,
  (r) =>
    `{{ ('${r.pick(["a", "\u0130", "\ufb03", "<", "a "])}' * ${r.pick([999, 99999, 9999999])}).${r.pick(METHODS)} }}`,
  (r) => `{{ range(${r.pick([99999, 9999999, 10 ** 15])}) | ${r.pick(FILTERS)} | ${r.pick(FILTERS)} }}`,
  (r) =>
    `{% set x = range(99999) | list %}{% for a in x %}{% if a ${r.pick(["in x", "== x[-1]", "!= x"])} %}{% endif %}{% endfor %}`,
  (r) =>
    `{{ '%${r.pick(["9999999", "99999999999", "*", ".999999", "-0+ #999"])}${r.pick(["d", "s", "f", "e", "g", "x", "c", "r"])}' % ${r.pick(["1", "1e308", "(1, 2)", "x"])} }}`,
  (r) =>
    `{{ '{:${r.pick(["9999999", "99999999999", "{}", ".999999", "*^+#0999,"])}${r.pick(["d", "s", "f", "e", "g", "x", "n", "%"])}}'.format(${r.pick(["1", "1e308", "5, 2", "x"])}) }}`,
  (r) =>
    `{% set s %}${"a".repeat(999)}{% endset %}{% for i in range(${r.pick([99, 99999])}) %}{% set s %}{{ s }}{{ s }}{% endset %}{{ s | length }}{% endfor %}`,
];
const DEPTHS = [20, 49, 99, 101, 199, 201, 5000];

function around(open, inner, close, times) {
  return open.repeat(times) + inner + close.repeat(times);
}

function doubling(random) {
  const twice = random.pick(["ns.s + ns.s", "ns.s ~ ns.s", "ns.s * 2", "[ns.s, ns.s]", "ns.s | replace('a', 'aa')"]);
  return `{% for i in range(${random.pick([10, 20, 24, 60])}) %}{% set ns.s = ${twice} %}{% endfor %}`;
}
