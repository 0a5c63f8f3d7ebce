// An OAuth 2.0 authorisation server, by oidc-provider, with GitLab's paths: it is the other side of
// crates/forge-gitlab/tests/it/authorization_server.rs. Prints its address, then answers each line of its standard input
// with a line, and ends with it:
//
//   {"browse": URL, "agrees": true}   opens the page as a user who says yes or no; where the browser ends
//   {"advance": SECONDS}              moves the server's clock
//   {"counts": true}                  how often codes and refresh tokens were turned into tokens
//
// `/api/v4/user` is the one API call: it wants a token that is good now.
import http from 'node:http';
import readline from 'node:readline';

// It warns of what only matters in production: keys and storage that live as long as a test.
console.warn = () => {};
const { Provider } = await import('oidc-provider');

// The library asks Date.now for every lifetime.
const realNow = Date.now.bind(Date);
let offset = 0;
Date.now = () => realNow() + offset;

const redirect = 'http://127.0.0.1:7391/callback';
const grants = { redirect_uris: [redirect], response_types: ['code'], grant_types: ['authorization_code', 'refresh_token'] };
const clients = [
  { client_id: 'in-body', client_secret: 'secret-in-body', token_endpoint_auth_method: 'client_secret_post', ...grants },
  { client_id: 'in-header', client_secret: 'secret: in/header+%', token_endpoint_auth_method: 'client_secret_basic', ...grants },
];

const server = http.createServer();
await new Promise((ready) => server.listen(0, '127.0.0.1', ready));
const origin = `http://127.0.0.1:${server.address().port}`;

const provider = new Provider(origin, {
  clients,
  scopes: ['api', 'read_user', 'read_api'],
  routes: { authorization: '/oauth/authorize', token: '/oauth/token', revocation: '/oauth/revoke' },
  pkce: { required: () => true },
  rotateRefreshToken: true,
  issueRefreshToken: async () => true,
  ttl: { AccessToken: 7200, RefreshToken: 30 * 86400, AuthorizationCode: 60, Grant: 30 * 86400, Interaction: 600, Session: 86400 },
  features: { devInteractions: { enabled: false }, revocation: { enabled: true } },
  findAccount: (_, id) => ({ accountId: id, claims: async () => ({ sub: id }) }),
  interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
});

const counts = { codes: 0, refreshes: 0 };
provider.on('grant.success', (ctx) => {
  counts[ctx.oidc.params.grant_type === 'refresh_token' ? 'refreshes' : 'codes'] += 1;
});
// A bug of this program must not look like a refusal.
provider.on('server_error', (_, error) => { console.error(error); process.exit(1); });

let agrees = true;

async function interact(request, response) {
  const { prompt, params } = await provider.interactionDetails(request, response);
  if (!agrees) {
    const refusal = { error: 'access_denied', error_description: 'the user said no' };
    return provider.interactionFinished(request, response, refusal, { mergeWithLastSubmission: false });
  }
  if (prompt.name === 'login') {
    return provider.interactionFinished(request, response, { login: { accountId: 'ada' } });
  }
  const grant = new provider.Grant({ accountId: 'ada', clientId: params.client_id });
  grant.addOIDCScope(params.scope);
  const consent = { grantId: await grant.save() };
  return provider.interactionFinished(request, response, { consent });
}

// Follows redirects with cookies until one leaves this server; gives where to, or the page that ended it.
async function browse(start) {
  const cookies = new Map();
  let url = start;
  for (let hop = 0; hop < 12; hop += 1) {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const answer = await fetch(url, { redirect: 'manual', headers: { cookie } });
    for (const line of answer.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line);
      if (value) cookies.set(name, value); else cookies.delete(name);
    }
    const location = answer.headers.get('location');
    if (!location) return { page: await answer.text(), status: answer.status };
    url = new URL(location, url).href;
    if (!url.startsWith(`${origin}/`)) return { url };
  }
  return { page: 'too many redirects', status: 500 };
}

async function user(request) {
  const [, token] = /^Bearer (.+)$/.exec(request.headers.authorization ?? '') ?? [];
  const known = token && await provider.AccessToken.find(token);
  if (!known || known.isExpired) return [401, { message: '401 Unauthorized' }];
  return [200, { id: 7, username: known.accountId, name: 'Ada' }];
}

function send(response, status, body) {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}

const callback = provider.callback();
server.on('request', async (request, response) => {
  try {
    const { pathname } = new URL(request.url, origin);
    if (pathname.startsWith('/interaction/')) return await interact(request, response);
    if (pathname === '/api/v4/user') return send(response, ...await user(request));
    if (pathname.startsWith('/api/') || pathname === '/oauth/token/info') return send(response, 404, {});
    return callback(request, response);
  } catch (error) {
    console.error(error);
    process.exit(1);
  }
});

console.log(origin);
for await (const line of readline.createInterface({ input: process.stdin })) {
  const { browse: page, agrees: yes, advance } = JSON.parse(line);
  offset += (advance ?? 0) * 1000;
  agrees = yes ?? true;
  console.log(JSON.stringify(page ? await browse(page) : counts));
}
process.exit(0);
