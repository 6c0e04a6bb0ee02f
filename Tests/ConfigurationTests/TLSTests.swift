// TLS on both sides: which listeners speak it, with what certificates, and whose certificates are believed.

import Configuration
import Testing

@Suite("TLS")
struct TLSTests {
    private let pair = "certificate a.pem; private_key a.key;"

    /// A good configuration with https as its public URL and one listener with TLS.
    private func secure(_ directives: String = "", main: String = "") -> String {
        minimal("listen 0.0.0.0:443 tls; tls { \(directives.isEmpty ? pair : directives) } \(main)")
            .replacing("public_url http://localhost:8080;", with: "public_url https://a.example;")
    }

    private func tls(_ directives: String) -> TLSConfiguration? {
        load(secure(directives)).configuration?.tls
    }

    private func file(_ path: String, line: Int, in file: String = "gateway.conf") -> FileReference {
        FileReference(path: path, place: "\(file):\(line)")
    }

    // MARK: Listeners

    @Test("a listener is plain, has TLS, or redirects to https; the options stand in any order")
    func listeners() {
        func listener(_ options: String) -> ListenerConfiguration? {
            load(secure(main: "trusted_proxies 10.0.0.1; listen 0.0.0.0:1 \(options);"))
                .configuration?.listeners.last
        }
        let address = ListenAddress.ip(host: "0.0.0.0", port: 1)
        func expected(_ security: ListenerConfiguration.Security, _ proxy: Bool) -> ListenerConfiguration {
            ListenerConfiguration(address: address, security: security, expectsProxyProtocol: proxy)
        }
        #expect(listener("") == expected(.plain, false))
        #expect(listener("tls") == expected(.tls, false))
        #expect(listener("tls proxy_protocol") == expected(.tls, true))
        #expect(listener("proxy_protocol tls") == expected(.tls, true))
        #expect(listener("proxy_protocol redirect_to_https") == expected(.redirectsToHTTPS, true))
        for wrong in ["tls redirect_to_https", "redirect_to_https tls", "tls tls", "TLS", "tls=on", "ssl"] {
            #expect(listener(wrong) == nil, "\(wrong)")
        }
    }

    @Test("a listener with TLS needs a certificate, and one that redirects an https public URL")
    func needs() {
        #expect(load(secure()).diagnostics == [])
        #expect(
            messages(load(secure().replacing("tls { \(pair) }", with: "")))
                == ["this listener has no certificate: there is no 'tls' block"])
        #expect(messages(load(secure("tickets on;"))) == ["'tls' has no 'certificate'"])
        #expect(load(secure(main: "listen 0.0.0.0:80 redirect_to_https;")).diagnostics == [])
        #expect(
            messages(load(minimal("listen 0.0.0.0:80 redirect_to_https;")))
                == ["there is no https to redirect to: the public URL is plain http"])
        let alone = minimal().replacing("public_url http://localhost:8080;", with: "")
            .replacing("8080;", with: "8080 redirect_to_https;")
        #expect(messages(load(alone)) == ["'public_url' is needed to redirect to"])
    }

    @Test("who terminates TLS is said: by a listener with it, or by naming the proxies in front")
    func terminators() {
        let https = minimal().replacing("http://localhost:8080", with: "https://a.example")
        let warning =
            "nothing says who terminates TLS: no listener has it, and no proxy's X-Forwarded-Proto is"
            + " believed"
        #expect(messages(load(https)) == [warning])
        #expect(load(https).diagnostics.map(\.severity) == [.warning])
        #expect(load(https + "trusted_proxies 10.0.0.1;").diagnostics == [])
        #expect(load(https + "trusted_proxies unix;").diagnostics == [])
        let redirecting = https + "trusted_proxies unix; listen 0.0.0.0:80 redirect_to_https;"
        #expect(
            messages(load(redirecting))
                == ["no listener has TLS: what is redirected comes back only if a proxy in front takes it"])
        #expect(load(redirecting).configuration != nil)
        #expect(
            messages(load(https + "trusted_proxies unix; tls { \(pair) }"))
                == ["no listener has 'tls': these certificates are not used"])
    }

    @Test("a public URL of plain http beside TLS is warned of, once, even on loopback")
    func insecureCookies() {
        let message =
            "access and refresh cookies travel without Secure although a listener has TLS: the public URL is"
            + " plain http"
        for host in ["localhost", "a.example"] {
            let loaded = load(secure().replacing("https://a.example", with: "http://\(host)"))
            #expect(messages(loaded) == [message])
            #expect(loaded.configuration != nil)
        }
        #expect(load(secure().replacing("https://a.example", with: "https://localhost")).diagnostics == [])
    }

    @Test("the public URL that is taken from a single listener is https where it has TLS")
    func defaultPublicURL() {
        func origin(_ port: Int, _ option: String) -> String? {
            let text = minimal("tls { \(pair) }")
                .replacing("public_url http://localhost:8080;", with: "")
                .replacing("127.0.0.1:8080", with: "127.0.0.1:\(port) \(option)")
            return load(text).configuration?.publicURL.origin
        }
        #expect(origin(443, "tls") == "https://localhost")
        #expect(origin(80, "tls") == "https://localhost:80")
        #expect(origin(80, "") == "http://localhost")
        #expect(origin(443, "") == "http://localhost:443")
    }

    // MARK: The block

    @Test("every default of 'tls' in the table is the default of the model")
    func defaultsAgree() throws {
        let defaults = DirectiveTable.rows.filter { $0.blocks == [.tls] }
            .compactMap { row in row.defaultText.map { "\(row.name) \($0);" } }
        #expect(defaults.count == 4)
        let explicit = try #require(tls(pair + defaults.joined(separator: " ")))
        #expect(explicit == tls(pair))
        #expect(explicit.hsts?.maxAgeSeconds == 31_536_000)
        #expect(explicit.minimumVersion == .v1_2)
    }

    @Test("the n-th certificate goes with the n-th key, in whatever order the two are mixed")
    func pairs() {
        let certificates = tls("private_key 1.key; certificate 1.pem; certificate 2.pem; private_key 2.key;")?
            .certificates
        #expect(certificates?.map(\.chain.path) == ["1.pem", "2.pem"])
        #expect(certificates?.map(\.privateKey.path) == ["1.key", "2.key"])
        let noKey = "this certificate has no 'private_key'"
        let noCertificate = "this key has no 'certificate'"
        for (text, expected) in [
            ("certificate 1.pem;", [noKey]), ("private_key 1.key;", [noCertificate]),
            (pair + "certificate 2.pem;", [noKey]), (pair + "private_key 2.key;", [noCertificate]),
            (pair + "private_key 2.key; private_key 3.key;", [noCertificate, noCertificate]),
            (pair + "server_name a { \(pair) certificate 2.pem; }", [noKey]),
            (pair + "server_name a { }", ["'server_name' has no 'certificate'"]),
        ] {
            #expect(messages(load(secure(text))) == expected, "\(text)")
        }
        // What is faulty is one mistake, and leaves nothing alone.
        #expect(messages(load(secure("certificate; private_key 1.key;"))).count == 1)
        #expect(messages(load(secure("certificate \"\"; private_key 1.key;"))).count == 1)
    }

    @Test("a file is relative to the one that names it, and remembers where that was")
    func files() {
        let text = secure("include tls/*.conf;") + "upstream b { include tls/upstream; }"
        let files = MemoryFiles([
            "/etc/gw/gateway.conf": text,
            "/etc/gw/tls/a.conf": "certificate a.pem;\nprivate_key /keys/a.key;\nclient_ca ../ca.pem;",
            "/etc/gw/tls/upstream": "server https://b.example;\ntls_ca b.pem;",
        ])
        let loaded = ConfigurationLoader.load(path: "/etc/gw/gateway.conf", files: files)
        #expect(loaded.diagnostics == [])
        let tls = loaded.configuration?.tls
        let included = "/etc/gw/tls/a.conf"
        #expect(tls?.certificates.first?.chain == file("/etc/gw/tls/a.pem", line: 1, in: included))
        #expect(tls?.certificates.first?.privateKey == file("/keys/a.key", line: 2, in: included))
        #expect(tls?.clientAuthorities?.file == file("/etc/gw/tls/../ca.pem", line: 3, in: included))
        #expect(tls?.clientAuthorities?.areRequired == true)
        #expect(
            loaded.configuration?.upstreams.last?.tls.authorities
                == file("/etc/gw/tls/b.pem", line: 2, in: "/etc/gw/tls/upstream"))
    }

    @Test("a server name is a host name or a wildcard of one label, in lower case and given once")
    func serverNames() {
        func names(_ text: String) -> [String]? {
            tls(pair + "server_name \(text) { \(pair) }")?.serverNames.flatMap(\.names)
        }
        #expect(names("A.Example.com") == ["a.example.com"])
        #expect(names("a.example *.A.example b") == ["a.example", "*.a.example", "b"])
        #expect(names("xn--bcher-kva.example") == ["xn--bcher-kva.example"])
        for wrong in [
            "*", "*.", "*.*.a.example", "a.*.example", "a*.example", "10.0.0.1", "::1", "[::1]",
            "*.10.0.0.1", "1.2.3", "a..b", "a.", ".a", "-a", "\"a b\"", "\"\"", "bücher.example", "a:443",
            "a.example A.EXAMPLE", "*.a.example *.A.example",
        ] {
            #expect(names(wrong) == nil, "\(wrong)")
        }
        let block = "server_name a.example { \(pair) }"
        #expect(messages(load(secure(pair + block + block))) == ["this name has certificates already"])
        #expect(tls(pair + block + block.replacing("a.example", with: "*.a.example"))?.serverNames.count == 2)
    }

    @Test("client certificates are required unless they are optional, and are the whole listener's")
    func clientAuthorities() {
        #expect(tls(pair)?.clientAuthorities == nil)
        #expect(tls(pair + "client_ca a.pem;")?.clientAuthorities?.areRequired == true)
        #expect(tls(pair + "client_ca a.pem required;")?.clientAuthorities?.areRequired == true)
        #expect(tls(pair + "client_ca a.pem optional;")?.clientAuthorities?.areRequired == false)
        for wrong in ["client_ca;", "client_ca a.pem off;", "server_name a { \(pair) client_ca a.pem; }"] {
            #expect(tls(pair + wrong) == nil, "\(wrong)")
        }
    }

    @Test("HSTS is a time in whole seconds, or off; who asks for preloading is told what it takes")
    func hsts() {
        func hsts(_ text: String) -> HSTSConfiguration? { tls(pair + "hsts \(text);")?.hsts }
        #expect(tls(pair + "hsts off;") != nil)
        #expect(hsts("off") == nil)
        #expect(hsts("0s")?.maxAgeSeconds == 0)
        #expect(hsts("1m")?.maxAgeSeconds == 60)
        #expect(hsts("1m")?.includesSubdomains == false)
        #expect(hsts("365d preload include_subdomains")?.isPreloaded == true)
        for wrong in [
            "500ms", "1500ms", "on", "3651d", "365", "off preload", "365d 365d", "365d preload preload", "",
        ] {
            #expect(tls(pair + "hsts \(wrong);") == nil, "\(wrong)")
        }
        let warning = "no browser's list takes this: 'preload' needs 'include_subdomains' and a year"
        for (text, expected) in [
            ("365d include_subdomains preload", []), ("364d include_subdomains preload", [warning]),
            ("365d preload", [warning]), ("364d include_subdomains", []),
        ] {
            #expect(messages(load(secure(pair + "hsts \(text);"))) == expected, "\(text)")
        }
    }

    @Test("versions older than 1.2 are no choice")
    func versions() {
        #expect(tls(pair + "minimum_version 1.3;")?.minimumVersion == .v1_3)
        for wrong in ["1.1", "1.0", "TLSv1.2", "2"] {
            #expect(tls(pair + "minimum_version \(wrong);") == nil, "\(wrong)")
        }
    }
}
