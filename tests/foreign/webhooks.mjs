// Signs and checks deliveries as GitHub's own library does. For each line of its input one line of output:
//   {"secret", "payload"} -> {"signature"};  {"secret", "payload", "signature"} -> {"verified"}
import { createInterface } from 'node:readline';
import { Webhooks } from '@octokit/webhooks';

for await (const line of createInterface({ input: process.stdin })) {
  const { secret, payload, signature } = JSON.parse(line);
  const webhooks = new Webhooks({ secret });
  const answer = signature === undefined
    ? { signature: await webhooks.sign(payload) }
    : { verified: await webhooks.verify(payload, signature) };
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
