// Who searches the documentation for what another language, or the C interface, calls a
// thing finds it: asks rustdoc's own search, as a browser does, for each alias of
// src/lib.rs and for those that must be there. `ci/check aliases` runs it.
const fs = require("fs"), path = require("path");
const doc = process.argv[2];
const part = (folder, name) => {
    const found = fs.readdirSync(path.join(doc, folder)).find(file => file.startsWith(name));
    return path.join(doc, folder, found);
};
const index = (...names) => eval(fs.readFileSync(path.join(doc, "search.index", ...names), "utf8"));
// Two checks of its other scripts.
global.nonnull = global.nonundef = value => value;

const wanted = new Map(Object.entries({
    EAGAIN: ["Io"], EWOULDBLOCK: ["Io"], BlockingIOError: ["Io"],
    EINPROGRESS: ["connect", "finish_connect"], SO_ERROR: ["finish_connect"],
    O_NONBLOCK: ["set_nonblocking", "is_nonblocking", "NonBlocking"],
    settimeout: ["until"], timeout: ["until"], TimeoutError: ["until"],
    makefile: ["StdIo"], sendall: ["send_all"], recv_into: ["recv"],
    select: ["poll", "PollSet"], accept4: ["accept"], SIGPIPE: ["send"],
}));
const roof = fs.readFileSync("src/lib.rs", "utf8");
for (const line of roof.matchAll(/#\[doc\(alias\(([^)]*)\)\)\]\s*pub use [\w:]*?(\w+|\{[^}]*\});/g)) {
    for (const [, alias] of line[1].matchAll(/"([^"]+)"/g)) {
        wanted.set(alias, (wanted.get(alias) ?? []).concat(line[2].match(/\w+/g)));
    }
}

async function main() {
    const { Stringdex, RoaringBitmap } = require(part("static.files", "stringdex-"));
    const { initSearch } = require(part("static.files", "search-"));
    const { docSearch, DocSearch } = await initSearch(Stringdex, RoaringBitmap, {
        loadRoot: callbacks => { Object.assign(global, callbacks); index("root.js"); },
        loadTreeByHash: hash => index(`${hash}.js`),
        loadDataByNameAndHash: (name, hash) => index(name, `${hash}.js`),
    });
    let pairs = 0, missing = 0;
    for (const [alias, items] of wanted) {
        const found = new Set();
        const results = await docSearch.execQuery(DocSearch.parseQuery(alias), null, "wouldblock");
        for await (const result of results.others) {
            // By the alias, or by its own name: the search does not care for underscores
            // and capitals. A method is another thing.
            const own = result.item.name.replaceAll("_", "").toLowerCase();
            if ((result.is_alias || own === alias.toLowerCase()) && !result.href.includes("#")) {
                found.add(result.item.name);
            }
        }
        for (const item of new Set(items)) {
            pairs += 1;
            if (!found.has(item)) {
                missing += 1;
                console.log(`${alias} does not find ${item}, but ${[...found].join(", ") || "nothing"}`);
            }
        }
    }
    console.log(`${pairs - missing} of ${pairs} aliases are found`);
    return missing;
}
main().then(missing => process.exit(missing ? 1 : 0), error => { console.error(error); process.exit(1); });
