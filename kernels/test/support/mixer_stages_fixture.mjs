// Writes test/fixtures/mamba2_mixer_stages.txt from the JSON of recorded stages: one array per line, "name count values...", so
// that the C++ test needs no JSON parser. Usage: node mixer_stages_fixture.mjs STAGES.json > FIXTURE.txt
import { readFileSync } from "node:fs";

const stages = JSON.parse(readFileSync(process.argv[2], "utf8"));
const write = (name, values) => {
  const flat = [values].flat(Infinity);
  console.log(`${name} ${flat.length} ${flat.map((v) => Number(v.toPrecision(13))).join(" ")}`);
};

write("dims", Object.values(stages.dims));
for (const [name, values] of Object.entries(stages.weights)) write(name, values);
write("x", stages.x);
write("S0", stages.S0);
for (const entry of stages.cases) {
  write(`${entry.case}.cotangent`, entry.cotangent_out);
  write(`${entry.case}.loss`, entry.loss);
  for (const [name, values] of Object.entries(entry.stages)) write(`${entry.case}.${name}`, values);
  for (const [name, values] of Object.entries(entry.grads)) write(`${entry.case}.d_${name}`, values);
}
