// The official client library of the Model Context Protocol. Arguments: the server's program and arguments. Each line of
// standard input is {"tool", "arguments"} or {"list": true}; each answer is one line.
import { createInterface } from 'node:readline';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';

const [command, ...args] = process.argv.slice(2);
const client = new Client({ name: 'foreign', version: '1.0.0' });
await client.connect(new StdioClientTransport({ command, args, env: process.env, stderr: 'inherit' }));
console.log(JSON.stringify({ server: client.getServerVersion(), capabilities: client.getServerCapabilities() }));

for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line);
  try {
    const answer = request.list
      ? await client.listTools()
      : await client.callTool({ name: request.tool, arguments: request.arguments });
    console.log(JSON.stringify(answer));
  } catch (error) {
    console.log(JSON.stringify({ protocol_error: error.message, code: error.code }));
  }
}
await client.close();
