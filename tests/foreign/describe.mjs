// GitHub's own description of its API, cut down to the calls that our adapter makes and repaired where it is at fault.
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';

// What the adapter uses. A request to anything else is a violation.
const PATHS = [
  '/app',
  '/app-manifests/{code}/conversions',
  '/app/installations/{installation_id}',
  '/app/installations/{installation_id}/access_tokens',
  '/applications/{client_id}/grant',
  '/installation/repositories',
  '/repos/{owner}/{repo}',
  '/repos/{owner}/{repo}/actions/jobs/{job_id}',
  '/repos/{owner}/{repo}/actions/jobs/{job_id}/logs',
  '/repos/{owner}/{repo}/actions/runs',
  '/repos/{owner}/{repo}/actions/runs/{run_id}',
  '/repos/{owner}/{repo}/actions/runs/{run_id}/attempts/{attempt_number}',
  '/repos/{owner}/{repo}/actions/runs/{run_id}/attempts/{attempt_number}/jobs',
  '/repos/{owner}/{repo}/actions/runs/{run_id}/jobs',
  '/repos/{owner}/{repo}/actions/workflows/{workflow_id}/runs',
  '/repos/{owner}/{repo}/check-runs',
  '/repos/{owner}/{repo}/check-runs/{check_run_id}',
  '/repos/{owner}/{repo}/check-runs/{check_run_id}/annotations',
  '/repos/{owner}/{repo}/comments/{comment_id}',
  '/repos/{owner}/{repo}/commits/{commit_sha}/comments',
  '/repos/{owner}/{repo}/commits/{commit_sha}/pulls',
  '/repos/{owner}/{repo}/commits/{ref}',
  '/repos/{owner}/{repo}/commits/{ref}/check-runs',
  '/repos/{owner}/{repo}/compare/{basehead}',
  '/repos/{owner}/{repo}/contents/{path}',
  '/repos/{owner}/{repo}/hooks',
  '/repos/{owner}/{repo}/hooks/{hook_id}',
  '/repos/{owner}/{repo}/hooks/{hook_id}/deliveries',
  '/repos/{owner}/{repo}/hooks/{hook_id}/deliveries/{delivery_id}/attempts',
  '/repos/{owner}/{repo}/hooks/{hook_id}/pings',
  '/repos/{owner}/{repo}/issues',
  '/repos/{owner}/{repo}/issues/comments/{comment_id}',
  '/repos/{owner}/{repo}/issues/{issue_number}',
  '/repos/{owner}/{repo}/issues/{issue_number}/comments',
  '/repos/{owner}/{repo}/pulls',
  '/repos/{owner}/{repo}/pulls/{pull_number}',
  '/repos/{owner}/{repo}/pulls/{pull_number}/files',
  '/repos/{owner}/{repo}/statuses/{sha}',
  '/user',
  '/user/repos',
];
const METHODS = ['get', 'post', 'put', 'patch', 'delete'];

/// The description `name` (`api.github.com`, `ghes-3.19`), its paths below `prefix`.
export function describe(name, prefix) {
  const require = createRequire(import.meta.url);
  const whole = JSON.parse(readFileSync(require.resolve(`@octokit/openapi/generated/${name}.json`), 'utf8'));
  const paths = {};
  for (const path of PATHS) {
    if (!whole.paths[path]) throw new Error(`${name} does not describe ${path}`);
    paths[prefix + repaired(path)] = operations(whole.paths[path]);
  }
  repair(paths, prefix);
  const kept = { openapi: whole.openapi, info: whole.info, servers: [{ url: '/' }], paths, components: {} };
  keepReferenced(kept, whole, kept);
  return kept;
}

// Only requests are judged here, so answers keep no more than their status.
function operations(item) {
  const kept = { parameters: item.parameters };
  for (const method of METHODS.filter((method) => item[method])) {
    const { parameters, requestBody, operationId } = item[method];
    const responses = {};
    for (const status of Object.keys(item[method].responses)) responses[status] = { description: '' };
    kept[method] = { operationId, parameters, requestBody, responses };
  }
  return JSON.parse(JSON.stringify(kept));
}

// OpenAPI has no parameter over several segments, which this one is. Ours is `.github/workflows/<file>`.
function repaired(path) {
  return path.replace('/contents/{path}', '/contents/{folder}/{folder_in_it}/{path}');
}

function repair(paths, prefix) {
  const contents = paths[`${prefix}/repos/{owner}/{repo}/contents/{folder}/{folder_in_it}/{path}`];
  contents.parameters = ['folder', 'folder_in_it'].map((name) => ({
    name, in: 'path', required: true, schema: { type: 'string' },
  }));
  // Only reading is ours.
  for (const method of METHODS.filter((method) => method !== 'get')) delete contents[method];
  // A number fits both branches of its `oneOf`, so it would fit neither.
  const runs = paths[`${prefix}/repos/{owner}/{repo}/actions/workflows/{workflow_id}/runs`];
  runs.get.parameters = runs.get.parameters.filter((it) => !it.$ref?.endsWith('/workflow-id'));
  runs.get.parameters.push({ name: 'workflow_id', in: 'path', required: true, schema: { type: 'string' } });
}

function keepReferenced(node, whole, kept) {
  if (Array.isArray(node)) return node.forEach((item) => keepReferenced(item, whole, kept));
  if (node === null || typeof node !== 'object') return;
  delete node.examples;
  if (typeof node.$ref === 'string') {
    const [, , section, name] = node.$ref.split('/');
    kept.components[section] ??= {};
    if (!(name in kept.components[section])) {
      kept.components[section][name] = whole.components[section][name];
      keepReferenced(kept.components[section][name], whole, kept);
    }
  }
  for (const value of Object.values(node)) keepReferenced(value, whole, kept);
}
