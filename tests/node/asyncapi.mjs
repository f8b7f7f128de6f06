// Checks an AsyncAPI document with the initiative's own parser: node asyncapi.mjs FILE. Prints `valid`, or every error.
import { readFileSync } from 'node:fs';
import asyncapi from '@asyncapi/parser';

const { document, diagnostics } = await new asyncapi.Parser().parse(readFileSync(process.argv[2], 'utf8'));
const errors = diagnostics.filter((found) => found.severity === 0);
for (const error of errors) console.log(`${error.path.join('.')}: ${error.message}`);
console.log(document && errors.length === 0 ? 'valid' : 'invalid');
process.exit(document && errors.length === 0 ? 0 : 1);
