// Secrets: where they may come from, what is refused, and that none is ever shown.

import Configuration
import Testing

@Suite("Secrets and variables")
struct SecretTests {
    private func files(_ secret: String, file: String? = nil, environment: [String: String] = [:])
        -> MemoryFiles
    {
        var files = MemoryFiles(
            ["/etc/gw.conf": minimal("control { listen 0.0.0.0:9901; secret \(secret); }")],
            environment: environment)
        if let file { files.files["/etc/control.secret"] = Array(file.utf8) }
        return files
    }

    private func secret(_ files: MemoryFiles) -> String? {
        ConfigurationLoader.load(path: "/etc/gw.conf", files: files).configuration?.control?.secret?.revealed
    }

    @Test("a secret is text, a variable, env:NAME or file:PATH")
    func sources() {
        #expect(secret(files(sampleSecret)) == sampleSecret)
        #expect(secret(files("\"\(sampleSecret)\"")) == sampleSecret)
        #expect(secret(files("env:S", environment: ["S": sampleSecret])) == sampleSecret)
        #expect(secret(files("${S}", environment: ["S": sampleSecret])) == sampleSecret)
        #expect(secret(files("file:/etc/control.secret", file: sampleSecret)) == sampleSecret)
        #expect(secret(files("file:control.secret", file: sampleSecret)) == sampleSecret)
    }

    @Test("one line break at the end of a secret file is dropped, a second one is refused")
    func trailingLineBreak() {
        #expect(secret(files("file:/etc/control.secret", file: sampleSecret + "\n")) == sampleSecret)
        #expect(secret(files("file:/etc/control.secret", file: sampleSecret + "\r\n")) == sampleSecret)
        #expect(secret(files("file:/etc/control.secret", file: sampleSecret + "\n\n")) == nil)
    }

    @Test("a secret of 16 characters is accepted, and one of 15 is not")
    func length() {
        #expect(secret(files("0123456789abcdef")) == "0123456789abcdef")
        #expect(secret(files("0123456789abcde")) == nil)
    }

    @Test("an empty, missing or unreadable secret is an error")
    func refused() {
        #expect(secret(files("file:/etc/control.secret", file: "\n")) == nil)
        #expect(secret(files("file:/etc/control.secret")) == nil)
        #expect(secret(files("env:S", environment: ["S": ""])) == nil)
        #expect(secret(files("env:S")) == nil)
        #expect(secret(files("\"\"")) == nil)
    }

    @Test("a secret that tokens are signed with is as long as its hash, or longer")
    func lengthOfKeys() {
        func keys(_ algorithm: String, _ length: Int) -> [SharedSecret]? {
            let secret = String(repeating: "k", count: length)
            let issuer = "issuer https://a.example { audience a; secret \(algorithm) env:S; }"
            return load(minimal(issuer), environment: ["S": secret]).configuration?.issuers.first?.keys
                .secrets
        }
        for (algorithm, length) in [("HS256", 32), ("HS384", 48), ("HS512", 64)] {
            #expect(keys(algorithm, length - 1) == nil)
            #expect(keys(algorithm, length)?.map(\.algorithm) == [algorithm])
            #expect(keys(algorithm, length)?.first?.secret.revealed.utf8.count == length)
        }
    }

    @Test("a secret that tokens are signed with may have spaces, and bytes that are no text are refused")
    func charactersOfKeys() {
        func loaded(_ secret: [UInt8]) -> LoadedConfiguration {
            var files = MemoryFiles([
                "/etc/gw.conf": minimal("issuer https://a.example { audience a; secret HS256 file:key; }")
            ])
            files.files["/etc/key"] = secret
            return ConfigurationLoader.load(path: "/etc/gw.conf", files: files)
        }
        let words = Array("four words and two more, as a key".utf8)
        #expect(loaded(words + [0x0A]).configuration?.issuers.first?.keys.remote == nil)
        #expect(loaded(words).diagnostics == [] && loaded(words + [0x0A]).diagnostics == [])
        for wrong: UInt8 in [0x00, 0x0A, 0x7F, 0x80, 0xFF] {
            #expect(
                messages(loaded(words + [wrong] + words))
                    == ["this secret holds a character that is not printable ASCII"])
        }
    }

    @Test("a control listener without a secret is refused except on loopback")
    func controlNeedsSecret() {
        for address in ["127.0.0.1:9901", "[::1]:9901"] {
            #expect(load(minimal("control { listen \(address); }")).configuration != nil)
        }
        for address in ["0.0.0.0:9901", "[::]:9901", "10.0.0.1:9901"] {
            #expect(
                messages(load(minimal("control { listen \(address); }"))) == [
                    "a control listener that is not on a loopback address needs a secret"
                ])
        }
    }

    @Test(
        "no diagnostic shows a secret, wherever it stands and whatever is wrong around it",
        arguments: [
            "control { listen 0.0.0.0:1; secret hunter2 }",
            "control { listen 0.0.0.0:1; secret hunter2; }",
            "control { listen 0.0.0.0:1; secret \"hunter2; }",
            "control { listen 0.0.0.0:1; secret hunter2 hunter2; }",
            "control { listen 0.0.0.0:1\n secret hunter2; }",
            "control { lisen 0.0.0.0:1; secret hunter2; secret hunter2; }",
            "control { listen 0.0.0.0:1; secrt hunter2; }",
            "control { listen 0.0.0.0:1; seecret hunter2 { } }",
            "control { listen 0.0.0.0:1; secret_file_or_so hunter2; }",
            "control { listen 0.0.0.0:1; secret hunter2;hunter2; }",
            "control { listen 0.0.0.0:1; secret hunter2{hunter2; }",
            "control { listen 0.0.0.0:1; secret \\hunter2\"hunter2; }",
            "control { listen 0.0.0.0:1; secret ${SECRET:-hunter2}; }",
            "control { listen 0.0.0.0:1; secret ${SECRET hunter2}; }",
            "control { listen 0.0.0.0:1; secret # hunter2\n }",
            "control { listen 0.0.0.0:1; secret ${HIDDEN}; }",
            "control { listen 0.0.0.0:1; secret env:HIDDEN; }",
            "expect GET /x token header X-Api-Key=hunter2 999;", "secret hunter2;", "secret { hunter2; }",
            "secret\nhunter2", "workers ${HIDDEN};",
            "sessions postgresql \"host=db password=hunter2\";",
            "upstream b { server http://u:hunter2@h:1; }",
            "identity_provider { client_secret hunter2; }",
            "issuer https://a.example { audience a; secret HS256 hunter2; }",
            "issuer https://a.example { audience a; secret hunter2 HS256; }",
            "issuer https://a.example { audience a; secret hunter2; }",
            "issuer https://a.example { audience a; secret HS256 env:HIDDEN kid=hunter2; }",
            "issuer https://a.example { audience a; secret HS256 ${HIDDEN} hunter2; }",
            "issuer https://a:hunter2@a.example { audience a; }",
            "refresh_token { exchange token { until 2027-01-31; secret HS512 \"hunter2 hunter2\"; } }",
            "listen ${HIDDEN};", "upstream ${HIDDEN} { }",
            "route ${HIDDEN} { upstream ${HIDDEN}; access ${HIDDEN}; }", "logs { level ${HIDDEN}; }",
            "include ${HIDDEN};", "public_url ${HIDDEN};", "access_token { issuer ${HIDDEN}; }",
        ])
    func neverShown(extra: String) {
        let loaded = load(minimal(extra), environment: ["HIDDEN": "hunter2"])
        #expect(!loaded.diagnostics.isEmpty)
        for diagnostic in loaded.diagnostics {
            #expect(!diagnostic.rendered.contains("hunter2"), "\(diagnostic)")
        }
        #expect(!String(reflecting: loaded).contains("hunter2"))
    }

    @Test("a path or name that speaks of secrets conceals nothing")
    func notConcealed() {
        let loaded = load(minimal("route /secret-plans/ { upstream nowhere; }"))
        #expect(messages(loaded) == ["there is no upstream 'nowhere'"])
    }

    @Test("a loaded configuration prints its secret as dots")
    func description() throws {
        let loaded = ConfigurationLoader.load(path: "gateway.conf", files: completeFiles())
        let configuration = try #require(loaded.configuration)
        #expect(configuration.control?.secret?.revealed == sampleSecret)
        for text in [String(describing: configuration), String(reflecting: loaded)] {
            #expect(!text.contains(sampleSecret))
            #expect(text.contains("••••"))
        }
    }

    @Test("a variable's value adds neither directives nor arguments")
    func noInjection() throws {
        let value = "a b; } route /evil { upstream api;"
        let loaded = load(
            minimal(route: "require claim role ${V} \"x${V}\";"), environment: ["V": value])
        let route = try #require(loaded.configuration?.routes.first)
        #expect(
            route.requiredClaims == [
                ClaimRequirement(claim: ClaimPath(["role"]), values: [value, "x" + value])
            ])
    }

    @Test("a default holds where a variable is unset or empty")
    func defaults() {
        func audience(_ text: String) -> String? {
            let environment = ["SET": "value", "EMPTY": ""]
            return load(minimal().replacing("shop", with: text), environment: environment)
                .configuration?.accessToken.audience
        }
        #expect(audience("${SET}") == "value")
        #expect(audience("${SET:-other}") == "value")
        #expect(audience("${UNSET:-other}") == "other")
        #expect(audience("${EMPTY:-other}") == "other")
        #expect(audience("pre${SET}post${UNSET:-}") == "prevaluepost")
        #expect(audience("\"${SET}\"") == "value")
        #expect(audience("\"\\${SET}\"") == "${SET}")
        #expect(audience("${UNSET}") == nil)
        #expect(audience("${1X:-a}") == nil)
        #expect(audience("${SET") == nil)
    }
}
