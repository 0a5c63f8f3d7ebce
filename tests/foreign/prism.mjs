// A proxy that judges every request by GitHub's description of its API:
//   node prism.mjs <description> <upstream>
// Prints `{"listening": url}`, then for each request a line with its violations. Ends with its input.
import http from 'node:http';
import { createRequire } from 'node:module';
import { describe } from './describe.mjs';

const require = createRequire(import.meta.url);
const { createInstance, getHttpOperationsFromSpec } = require('@stoplight/prism-http');
const { createLogger } = require('@stoplight/prism-core');

const [description, upstream] = process.argv.slice(2);
const PREFIX = '/api/v3';
const operations = await getHttpOperationsFromSpec(describe(description, PREFIX));
// Prism's own way upstream reads whatever calls itself JSON, as GitHub's raw files do, and follows redirects.
const forward = ({ data }, base) => () => async () => {
  const url = new URL(data.url.path, base);
  for (const [name, value] of Object.entries(data.url.query)) url.searchParams.append(name, value);
  const headers = { ...data.headers };
  for (const name of ['host', 'connection', 'content-length']) delete headers[name];
  const body = data.body === undefined ? undefined : JSON.stringify(data.body);
  const answer = await fetch(url, { method: data.method.toUpperCase(), headers, body, redirect: 'manual' });
  const bytes = Buffer.from(await answer.arrayBuffer());
  return { _tag: 'Right', right: { statusCode: answer.status, headers: Object.fromEntries(answer.headers), body: bytes } };
};
const prism = createInstance(
  {
    isProxy: true, upstream: new URL(upstream), errors: false, checkSecurity: false,
    validateRequest: true, validateResponse: false, mock: { dynamic: false },
  },
  { logger: createLogger('proxy', { enabled: false }), forward },
);

// An unknown query parameter is ignored by GitHub and by Prism; from us it is a mistake.
const routes = operations.map((operation) => ({
  method: operation.method,
  pattern: new RegExp(`^${operation.path.replace(/[.]/g, '\\.').replace(/\{[^}]+\}/g, '[^/]+')}$`),
  literals: operation.path.split('/').filter((part) => !part.startsWith('{')).length,
  query: new Set((operation.request?.query ?? []).map((parameter) => parameter.name)),
}));

function undeclared(method, url) {
  const fitting = routes.filter((route) => route.method === method && route.pattern.test(url.pathname));
  fitting.sort((a, b) => b.literals - a.literals);
  const unknown = [...url.searchParams.keys()].filter((name) => fitting[0] && !fitting[0].query.has(name));
  return unknown.map((name) => `query: '${name}' is not described`);
}

const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

const server = http.createServer(async (request, reply) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString('utf8');
  const url = new URL(request.url, 'http://proxy.invalid');
  const method = request.method.toLowerCase();
  const query = Object.fromEntries(url.searchParams);
  const input = {
    method, url: { path: url.pathname, query }, headers: request.headers,
    body: text === '' ? undefined : JSON.parse(text),
  };
  const result = await prism.request(input, operations)();
  if (result._tag === 'Left') {
    say({ request: `${request.method} ${request.url}`, violations: [String(result.left)] });
    reply.writeHead(502).end();
    return;
  }
  const { output, validations } = result.right;
  const violations = validations.input.map((it) => `${(it.path ?? []).join('.')}: ${it.message}`);
  say({ request: `${request.method} ${request.url}`, violations: [...violations, ...undeclared(method, url)] });
  const headers = { ...output.headers };
  for (const name of ['transfer-encoding', 'content-encoding', 'content-length', 'connection']) delete headers[name];
  reply.writeHead(output.statusCode, headers);
  reply.end(output.body);
});
server.listen(0, '127.0.0.1', () => say({ listening: `http://127.0.0.1:${server.address().port}` }));
process.stdin.on('end', () => process.exit(0)).resume();
