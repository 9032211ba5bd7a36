// SPDX-License-Identifier: Apache-2.0
// Runs tests/micropython/on_device/vectors.py on the WebAssembly build of MicroPython: one command a line on standard
// input, one answer a line on standard output. Arguments: the module of the build, the folder of the agent, the script.
import { readFileSync, readdirSync } from "node:fs";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const [module, agent, script] = process.argv.slice(2);
const { loadMicroPython } = await import(pathToFileURL(module));
const micropython = await loadMicroPython({ heapsize: 8 << 20 });
micropython.FS.mkdir("/agent");
micropython.FS.mkdir("/agent/tinyfleet");
for (const name of readdirSync(`${agent}/tinyfleet`).filter((each) => each.endsWith(".py"))) {
  micropython.FS.writeFile(`/agent/tinyfleet/${name}`, readFileSync(`${agent}/tinyfleet/${name}`));
}
micropython.FS.writeFile("/agent/vectors.py", readFileSync(script));
micropython.runPython("import sys\nsys.path.insert(0, '/agent')\nimport vectors\nanswer = vectors.answer");
const answer = micropython.globals.get("answer");
for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${answer(line)}\n`);
}
