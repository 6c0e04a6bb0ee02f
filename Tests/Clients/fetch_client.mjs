// What an application written for node does with the gateway, by its built-in fetch. Prints one JSON object.

const base = process.argv[2];
const result = {};
const post = (path, body) => fetch(base + path, {
  method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) });

const login = await post('/login', { user: 'alice', password: 'wonderland' });
let pair = await login.json();
result.login = [login.status, Object.keys(pair).sort()];
const get = (path, options = {}) => fetch(base + path, {
  ...options, headers: { Authorization: 'Bearer ' + pair.access_token } });

const parallel = await Promise.all(Array.from({ length: 200 }, async (_, number) => {
  const answer = await get(number % 2 ? '/whoami' : '/items');
  await answer.text();
  return answer.status;
}));
result.parallel = parallel.filter((status) => status === 200).length;

// All of them get the same child: none of the twenty logs the others out.
const children = await Promise.all(Array.from({ length: 20 }, async () => {
  const answer = await post('/refresh', { refresh_token: pair.refresh_token });
  return [answer.status, (await answer.json()).refresh_token];
}));
result.refreshes = [...new Set(children.map(([status]) => status))];
result.children = new Set(children.map(([, token]) => token)).size;
pair = await (await post('/refresh', { refresh_token: children[0][1] })).json();
result.afterRefresh = (await (await get('/whoami')).json()).subject;

const stream = await get('/bytes?n=5000000&chunked=1');
let length = 0, pieces = 0;
for await (const piece of stream.body) { length += piece.length; pieces += 1; }
result.streamed = [length, pieces > 1];

const events = await get('/events');
const reader = events.body.getReader();
const first = await reader.read();
result.event = [events.headers.get('content-type'), new TextDecoder().decode(first.value).includes('data:')];
await reader.cancel();

const controller = new AbortController();
const slow = get('/slow?ms=1500', { signal: controller.signal });
const aborted = slow.then(() => 'answered', (error) => error.name);
setTimeout(() => controller.abort(), 100);
result.aborted = await aborted;

result.unknown = (await get('/nowhere')).status;
result.upload = (await fetch(base + '/items', {
  method: 'POST', duplex: 'half', headers: { Authorization: 'Bearer ' + pair.access_token,
    'Content-Type': 'application/json' },
  body: new ReadableStream({ start(to) {
    for (const piece of ['{"na', 'me":"st', 'reamed"}']) to.enqueue(new TextEncoder().encode(piece));
    to.close();
  } }) })).status;
result.logout = (await post('/refresh/logout', { refresh_token: pair.refresh_token })).status;
result.afterLogout = (await get('/whoami')).status;
console.log(JSON.stringify(result));
