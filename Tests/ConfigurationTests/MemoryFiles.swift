// Files and an environment in memory for the tests of Configuration, and configurations that are good.
//
// Globs know one `*`, which is all that the tests need.

import Configuration

struct MemoryFiles: ConfigurationFiles {
    var files: [String: [UInt8]] = [:]
    var environment: [String: String] = [:]

    init(_ files: [String: String] = [:], environment: [String: String] = [:]) {
        self.files = files.mapValues { Array($0.utf8) }
        self.environment = environment
    }

    func read(_ path: String) -> Result<[UInt8], ConfigurationFileProblem> {
        guard let bytes = files[path] else {
            return .failure(ConfigurationFileProblem(reason: "No such file or directory"))
        }
        return .success(bytes)
    }

    func paths(matching glob: String) -> [String] {
        let parts = glob.split(separator: "*", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2 else { return files[glob] == nil ? [] : [glob] }
        // Unsorted on purpose: the loader sorts.
        return files.keys.filter { $0.hasPrefix(parts[0]) && $0.hasSuffix(parts[1]) }.sorted(by: >)
    }

    func environmentValue(_ name: String) -> String? { environment[name] }
}

/// Loads one file of text.
func load(_ text: String, environment: [String: String] = [:]) -> LoadedConfiguration {
    load(Array(text.utf8), environment: environment)
}

func load(_ bytes: [UInt8], environment: [String: String] = [:]) -> LoadedConfiguration {
    var files = MemoryFiles(environment: environment)
    files.files["gateway.conf"] = bytes
    return ConfigurationLoader.load(path: "gateway.conf", files: files)
}

/// The messages of a load, without places and help.
func messages(_ loaded: LoadedConfiguration) -> [String] { loaded.diagnostics.map(\.message) }

/// A good configuration with `extra` at its end.
func minimal(_ extra: String = "", route: String = "", access: String = "") -> String {
    """
    listen 127.0.0.1:8080;
    public_url http://localhost:8080;
    access_token { audience shop; \(access) }
    upstream api { server http://127.0.0.1:9000; }
    route / { upstream api; \(route) }
    \(extra)
    """
}

/// Every directive that is available, none at its default.
let completeSample = """
    # Every directive there is.
    listen 0.0.0.0:8080;
    listen [::1]:8080 proxy_protocol;
    listen unix:/run/gateway/http.sock;
    listen 0.0.0.0:80 redirect_to_https;
    listen 0.0.0.0:443 proxy_protocol tls;
    workers 4;  user gateway www-data;  drain_delay 5s;  drain_timeout 1m;
    state_directory "/srv/auth gateway";
    trusted_proxies 10.0.0.0/8 fd00::/8;
    trusted_proxies unix;
    public_url HTTPS://Api.Example.com:443;
    sessions sqlite;

    tls {
        certificate rsa.pem;  private_key rsa.key;
        certificate /etc/ssl/ecdsa.pem;  private_key /etc/ssl/ecdsa.key;
        minimum_version 1.3;
        server_name Files.example.com *.Files.example.com { certificate files.pem; private_key files.pem; }
        client_ca clients.pem optional;
        tickets off;
        hsts 730d include_subdomains preload;
        handshake_timeout 5s;
    }

    limits {
        request_header 16k;  header_count 50;  request_body 1g;
        connections 1000;    connections_per_address 10;
        header_timeout 500ms;  body_timeout 1m;  idle_timeout 2m;  minimum_rate 4k/s;  access_token 12k;
    }

    logs { access logs/access.log combined; audit stderr; error syslog:unix:/run/log tag=gw; level debug; }

    control {
        listen 10.0.0.1:9901;
        secret env:CONTROL_SECRET;
    }

    access_token {
        issuer https://login.example.com/tenant;  audience shop;  algorithm ES384;
        signing_key ES384 keys/new.pem kid=2026-11;  signing_key RS256 keys/old.pem;
        lifetime 5d;  jitter 7%;  leeway 10s;  stream_grace 0s;  forward off;
        style single { use_expiry useExp 5m; }
    }

    refresh_token {
        path /auth/refresh;  rate 10/s burst=20;  bounce_body off;
        idle_lifetime 12h;  max_lifetime 30d;  sessions_per_subject none;  race_window cookie=10s body=20s;
        format jwt;  delivery cookie;  access_check api /internal/access { timeout 1s; }
        exchange token {
            until 2027-01-31;  issuer old-api;  audience shop old;  cookie jwt;
            secret HS256 env:HMAC_SECRET kid=a;  public_key RS256 old.pem;  jwks_file old.jwks;
            type JWT none;  subject_claim user.id;  claims role scope;  leeway 1m;  expired 7d;
        }
        exchange cookie old_session { until 2028-02-29; upstream api /whoami?full=1; timeout 500ms; }
    }

    upstream api {
        server http://127.0.0.1:9000 weight=2 connections=64;
        server http://api.internal:9000;
        server unix:/run/api.sock;
        balance least_connections;
        health_check /healthz { every 2s; timeout 500ms; fails 2; passes 1; }
        max_fails 5;  fail_timeout 30s;  slow_start 20s;
        queue 10 timeout=2s;  tries 2;  resolve 10s;
        connect_timeout 250ms;  response_timeout 5s;  idle_timeout 15s;  tunnel_timeout 1d;
        keepalive 16 timeout=10s;
    }
    upstream files { server http://[::1]:9001; }
    upstream internal {
        server https://10.0.0.1;
        server https://Api.internal:9443;
        tls {
            ca internal.pem;  certificate gateway.pem;  private_key gateway.key;
            server_name Api.internal;  minimum_version 1.3;
        }
    }
    upstream partner { server https://partner.example.com; tls_ca partner.pem; }

    issuer https://Login.example.org/Tenant {
        audience shop https://api.example.com;
        jwks https://Login.example.org:8443/keys?v=2 { every 5m; timeout 2s; tls_ca idp.pem; }
        algorithms RS256 ES256;  type at+JWT;  forward off;  lifetime_max 1d;  leeway 0s;
        subject_claim oid;  scope_claim https://example.org/scp;  audience_claim client.id;
        require claim realm.roles user admin;  require claim =realm.id 7;
    }
    issuer https://accounts.example.org/ { audience shop; discovery { every 1h; } }
    issuer partner {
        audience shop;  jwks_file partner.jwks;
        public_key EdDSA partner.pem kid=p;  secret HS512 env:HMAC_SECRET;
    }

    include conf.d/*.conf;

    route / { upstream api; }

    expect GET /old/a?b=c anonymous 401;
    expect POST https://Files.example.com:8443/x
        subject alice claim role=admin claim org.tenant=a=b scope files:read scope files:write
        issuer partner expired cookie header Origin=https://app.example.com forwarded;
    """

let completeSampleIncluded = """
    route /login { upstream api; access anonymous; login; rate 5/m burst=10; }
    route /account/ { upstream api; session_control; access optional; }
    route = /ping { respond 200 "{}" application/json; access anonymous; }
    route Files.example.com/ {
        upstream files; request_body 2g;
        require scope files:read files:write;
        require claim role admin owner;
        require claim tenant "${TENANT:-acme}";
        identity_header X-Auth-Role claim role;
        identity_header X-Auth-Tenant claim org.tenant;
    }
    route /old/ {
        upstream api;
        strip_prefix;
        set_header X-Api-Version 1;
        set_header Authorization "Basic YTpi";
        remove_header Cookie;
        methods GET HEAD;
        response_timeout 5m;  idle_timeout 1m;  tunnel_timeout 8h;
        rate 5/s by=subject;
        cors {
            origins https://App.example.com:443 http://localhost:3000;  credentials on;
            methods GET PUT;  headers Authorization;  expose ETag X-Total;  max_age 1h;
        }
        login_page /login?from=old;
        observe;
    }
    """

let sampleSecret = "correct-horse-battery-staple"

let sampleKey = String(repeating: "correct-horse-", count: 5)
let completeEnvironment = ["CONTROL_SECRET": sampleSecret, "HMAC_SECRET": sampleKey]

func completeFiles() -> MemoryFiles {
    MemoryFiles(
        ["gateway.conf": completeSample, "conf.d/routes.conf": completeSampleIncluded],
        environment: completeEnvironment)
}
