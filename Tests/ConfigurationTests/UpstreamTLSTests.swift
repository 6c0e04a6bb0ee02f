// TLS to upstreams: for what name their certificates are checked, and whose word is taken.

import Configuration
import Testing

@Suite("TLS to upstreams")
struct UpstreamTLSTests {
    private func loaded(_ directives: String) -> LoadedConfiguration {
        load(minimal("upstream b { \(directives) }"))
    }

    private func upstream(_ directives: String) -> UpstreamConfiguration? {
        loaded(directives).configuration?.upstreams.last
    }

    @Test("a server at https:// has port 443, and is checked for the host that is written")
    func servers() {
        func server(_ text: String) -> ServerConfiguration? { upstream("server \(text);")?.servers.first }
        func named(_ address: ServerAddress, _ name: String) -> ServerConfiguration {
            ServerConfiguration(address: address, certificateName: name)
        }
        #expect(
            server("https://Api.Internal") == named(.name(host: "api.internal", port: 443), "api.internal"))
        #expect(server("HTTPS://10.0.0.1:9443") == named(.ip(host: "10.0.0.1", port: 9443), "10.0.0.1"))
        #expect(server("https://[0:0::1]") == named(.ip(host: "::1", port: 443), "::1"))
        #expect(server("https://localhost") == named(.ip(host: "127.0.0.1", port: 443), "localhost"))
        #expect(server("https://api.internal")?.usesTLS == true)
        #expect(server("http://api.internal")?.usesTLS == false)
        #expect(server("unix:/run/a")?.usesTLS == false)
        for wrong in ["https://a/", "https://a:0", "https://u@a", "https://", "https://1.2.3"] {
            #expect(server(wrong) == nil, "\(wrong)")
        }
    }

    @Test("an upstream has servers with TLS or without, not both")
    func mixed() {
        let message = "servers with and without TLS are mixed in one upstream"
        for (first, second) in [
            ("http://10.0.0.1", "https://10.0.0.2"), ("https://10.0.0.1", "http://10.0.0.2"),
            ("https://10.0.0.1", "unix:/run/a"), ("unix:/run/a", "https://10.0.0.1"),
        ] {
            let text = "server \(first); server \(second);"
            #expect(messages(loaded(text)) == [message], "\(text)")
        }
        #expect(loaded("server https://10.0.0.1; server https://10.0.0.2;").diagnostics == [])
        #expect(loaded("server http://10.0.0.1; server unix:/run/a;").diagnostics == [])
    }

    @Test("the name of the block is asked for and checked in place of every server's own")
    func serverName() {
        let servers = "server https://10.0.0.1; server https://b.example;"
        let names = upstream("\(servers) tls { server_name A.internal; }")?.servers.map(\.certificateName)
        #expect(names == ["a.internal", "a.internal"])
        for wrong in ["10.0.0.1", "::1", "*.internal", "*", "a..b", "a b"] {
            #expect(upstream("\(servers) tls { server_name \(wrong); }") == nil, "\(wrong)")
        }
    }

    @Test("the system's authorities vouch for servers unless 'ca', in either spelling, names others")
    func authorities() {
        let server = "server https://a.internal;"
        #expect(upstream(server)?.tls == UpstreamTLSConfiguration())
        let file = FileReference(path: "a.pem", place: "gateway.conf:6")
        #expect(upstream(server + "tls { ca a.pem; }")?.tls.authorities == file)
        #expect(upstream(server + "tls_ca a.pem;")?.tls.authorities == file)
        #expect(upstream(server + "tls_ca a.pem; tls { minimum_version 1.3; }")?.tls.authorities == file)
        #expect(
            messages(loaded(server + "tls_ca a.pem; tls { ca a.pem; }"))
                == ["'tls_ca' is the same as the 'ca' of 'tls'"])
    }

    @Test("a certificate of the gateway's own comes with its key")
    func clientCertificate() {
        let server = "server https://a.internal;"
        let certificate = upstream(server + "tls { private_key a.key; certificate a.pem; }")?.tls
            .clientCertificate
        #expect(certificate?.chain.path == "a.pem")
        #expect(certificate?.privateKey.path == "a.key")
        #expect(
            messages(loaded(server + "tls { certificate a.pem; }"))
                == ["this certificate has no 'private_key'"])
        #expect(messages(loaded(server + "tls { private_key a; }")) == ["this key has no 'certificate'"])
    }

    @Test("servers are verified; what takes any certificate says so, and what it costs")
    func insecure() throws {
        let server = "server https://a.internal;"
        #expect(upstream(server + "tls { }")?.tls.verifiesServers == true)
        let open = loaded(server + "tls { insecure; }")
        #expect(open.configuration?.upstreams.last?.tls.verifiesServers == false)
        #expect(open.configuration?.upstreams.last?.servers.first?.certificateName == "a.internal")
        let warning = try #require(open.diagnostics.first)
        #expect(open.diagnostics.count == 1)
        #expect(warning.severity == .warning)
        #expect(warning.message.contains("whoever stands between can pose as these servers"))
        let unused = loaded(server + "tls { insecure; ca a.pem; }")
        #expect(unused.diagnostics.map(\.help) == ["take it out, or 'ca' at gateway.conf:6 is not used"])
        #expect(upstream(server + "tls { insecure on; }") == nil)
    }

    @Test("settings of TLS without a server that uses it are warned of")
    func unused() {
        for name in ["tls", "tls_ca"] {
            let settings = name == "tls" ? "tls { insecure; }" : "tls_ca a.pem;"
            let loaded = loaded("server http://10.0.0.1; \(settings)")
            #expect(
                messages(loaded) == ["no server of this upstream is https://: '\(name)' has no effect"])
            #expect(loaded.configuration != nil)
        }
        // A server that is misspelt may have been meant to be one: that is one mistake.
        #expect(messages(loaded("server http://10.0.0.1; server htps://a; tls_ca a.pem;")).count == 1)
    }
}
