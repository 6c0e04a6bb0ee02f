// The pages of the demo: a login form that everybody sees, and a small application that needs a session. The
// application's script does what a careful front end does without the gateway's help: on a 401 it asks for
// new tokens once and repeats. Its elements have ids, so that a browser test can read them.

/// The HTML of the demo.
enum Pages {
    /// The empty icon keeps browsers from asking for one, which would be a 401 in every log.
    private static let style = """
        <link rel="icon" href="data:,">
        <style>
          body { font: 16px/1.5 system-ui, sans-serif; max-width: 42rem; margin: 3rem auto; padding: 0 1rem; }
          label, dt { display: block; font-weight: 600; margin-top: 1rem; }
          dd { margin: 0; }
          pre { background: #f2f2f2; padding: .5rem; white-space: pre-wrap; margin: 0; }
          button { margin-top: 1rem; font: inherit; }
        </style>
        """

    /// `GET /` and `GET /login.html`.
    static let login = """
        <!doctype html>
        <html lang="en">
        <head><meta charset="utf-8"><title>demo-api: log in</title>
        \(style)
        </head>
        <body>
        <h1>Log in</h1>
        <p>alice / wonderland may read and write items and is an admin; bob / builder may read them.</p>
        <form id="login" method="post" action="/login">
          <label>User <input id="user" name="user" value="alice" autocomplete="username" required></label>
          <label>Password <input id="password" name="password" type="password" value="wonderland"
            autocomplete="current-password" required></label>
          <button id="submit">Log in</button>
        </form>
        <p>This page is public; <a id="app" href="/app">the application</a> is not.</p>
        </body>
        </html>

        """

    /// `GET /app`.
    static let app = """
        <!doctype html>
        <html lang="en">
        <head><meta charset="utf-8"><title>demo-api</title>
        \(style)
        </head>
        <body>
        <h1>The application</h1>
        <dl>
          <dt>Who am I</dt><dd><pre id="whoami">…</pre></dd>
          <dt>Items</dt><dd><pre id="items">…</pre></dd>
          <dt>Successful polls, one a second</dt><dd id="polls">0</dd>
          <dt>Refreshes that this page asked for</dt><dd id="refreshes">0</dd>
          <dt>Errors</dt><dd><span id="errors">0</span> <span id="last-error"></span></dd>
          <dt>Last event of the stream</dt><dd><pre id="event">…</pre></dd>
        </dl>
        <p id="over" hidden>The session is over. <a href="/login.html">Log in again</a></p>
        <button id="logout">Log out</button>
        <script>
        \(script)
        </script>
        </body>
        </html>

        """

    /// One refresh at a time, whoever of the page's calls finds out first; each call is repeated once at
    /// most.
    private static let script = """
        'use strict';
        const counts = { polls: 0, refreshes: 0, errors: 0 };
        const show = (id, text) => { document.getElementById(id).textContent = text; };
        const count = (id) => show(id, ++counts[id]);
        let isOver = false, stream = null, refreshing = null;

        function fail(error) {
          count('errors');
          show('last-error', String(error.message || error));
        }

        function refresh() {
          refreshing ??= fetch('/refresh', { method: 'POST', credentials: 'same-origin' })
            .then((answer) => { if (answer.ok) count('refreshes'); return answer.status; })
            .finally(() => { refreshing = null; });
          return refreshing;
        }

        async function call(path) {
          const ask = () => fetch(path, { credentials: 'same-origin', cache: 'no-store' });
          let answer = await ask();
          if (answer.status === 401) {
            const status = await refresh();
            if (status === 200) answer = await ask();
            // Anything but a refusal, such as 503, is an outage: the next poll tries again.
            if (status === 400 || status === 401) end();
          }
          if (!answer.ok) throw new Error(path + ': ' + answer.status);
          return answer.json();
        }

        function end() {
          isOver = true;
          if (stream) stream.close();
          document.getElementById('over').hidden = false;
        }

        async function poll() {
          try {
            show('whoami', JSON.stringify(await call('/whoami'), null, 1));
            count('polls');
          } catch (error) { fail(error); }
          if (!isOver) setTimeout(poll, 1000);
        }

        function listen() {
          stream = new EventSource('/events');
          stream.onmessage = (message) => show('event', message.data);
          stream.onerror = () => {
            // The browser reconnects by itself, unless the answer was no stream: a 401, for one.
            if (stream.readyState !== EventSource.CLOSED || isOver) return;
            setTimeout(() => call('/whoami').then(listen, fail), 1000);
          };
        }

        document.getElementById('logout').onclick = async () => {
          try {
            await fetch('/refresh/logout', { method: 'POST', credentials: 'same-origin' });
            end();
            location.assign('/login.html');
          } catch (error) { fail(error); }
        };

        call('/items').then((answer) => show('items', answer.items.join(', ')), fail);
        poll();
        listen();
        """
}
