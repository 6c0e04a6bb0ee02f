// Fields of the forwarded request: which a configuration may tell, set and remove, and which it may not.

import Configuration
import Testing

@Suite("Fields of the forwarded request")
struct FieldTests {
    private func route(_ directives: String) -> RouteConfiguration? {
        load(minimal(route: directives)).configuration?.routes.first
    }

    @Test(
        "an identity header is a field that neither HTTP nor the gateway sets, in any spelling",
        arguments: [
            "Host", "CONNECTION", "authorization", "Cookie", "Content-Length", "Transfer-Encoding",
            "X-Auth-Subject", "x_auth_session", "X.Auth-Scope", "X-Auth-Certificate-Subject",
            "x_auth_certificate.fingerprint",
        ])
    func reservedFields(name: String) {
        let loaded = load(minimal(route: "identity_header \(name) claim role;"))
        #expect(messages(loaded) == ["'\(name)' is a field that no claim may set"])
    }

    @Test("an identity header is a token, and given once in a route")
    func identityFields() {
        for name in ["X-Auth-Role", "X-Auth-Certificate-Role"] {
            #expect(load(minimal(route: "identity_header \(name) claim role;")).diagnostics == [])
        }
        for wrong in ["\"X Role\"", "X:Role", "\"\"", "Rôle"] {
            #expect(load(minimal(route: "identity_header \(wrong) claim role;")).configuration == nil)
        }
        #expect(load(minimal(route: "identity_header X-Role header role;")).configuration == nil)
        let twice = "identity_header X-Role claim a; identity_header x_role claim b;"
        #expect(messages(load(minimal(route: twice))) == ["this field is given twice in one route"])
    }

    @Test(
        "neither HTTP's own fields nor the gateway's are set or removed, in any spelling",
        arguments: [
            "Connection", "keep_alive", "TE", "Trailer", "Transfer-Encoding", "Transfer_Encoding", "Upgrade",
            "Proxy-Connection", "Proxy", "Content-Length", "content.length", "Expect", "X-Auth-Subject",
            "X-Auth-Certificate-Subject", "X_Auth_Certificate_Fingerprint",
            "X-Auth-Role", "x_auth_role", "Session-Start", "Session_End", "X-Forwarded-For",
            "X_Forwarded_Proto",
            "X-Forwarded-Anything", "Forwarded", "Via", "X-Real-IP",
        ])
    func fixedFields(name: String) {
        #expect(load(minimal(route: "set_header \(name) 1;")).configuration == nil)
        #expect(load(minimal(route: "remove_header \(name);")).configuration == nil)
    }

    @Test("a field that is near to those is set and removed")
    func freeFields() {
        for name in ["X-Authority", "X-Forward", "Sessions", "Viaduct", "X-Api-Version", "Accept", "Origin"] {
            #expect(route("set_header \(name) 1;")?.setFields == [FieldText(name: name, value: "1")])
            #expect(route("remove_header \(name);")?.removedFields == [name])
        }
    }

    @Test("Host is set and not removed, a cookie removed and not set, Authorization both")
    func specialFields() {
        #expect(route("set_header Host api.internal:9000;")?.setFields.first?.name == "Host")
        #expect(messages(load(minimal(route: "remove_header host;"))) == ["'host' cannot be removed"])
        for wrong in ["\"a b\"", "a/b", "é"] { #expect(route("set_header Host \(wrong);") == nil) }
        #expect(route("remove_header Cookie;")?.removedFields == ["Cookie"])
        #expect(messages(load(minimal(route: "set_header cookie a=b;"))) == ["'cookie' cannot be set"])
        #expect(route("set_header Authorization \"Basic YTpi\";")?.setFields.first?.value == "Basic YTpi")
        #expect(route("remove_header Authorization;")?.removedFields == ["Authorization"])
    }

    @Test("a value is one line of text without spaces at its ends")
    func values() {
        for good in ["1", "a b", "für", "a;b{c}", "\\\"quoted\\\""] {
            #expect(route("set_header X-A \"\(good)\";") != nil, "\(good)")
        }
        #expect(route("set_header X-A \(String(repeating: "a", count: 4_096));") != nil)
        for wrong in [
            "\"\"", "\" a\"", "\"a \"", "\"a\\nb\"", "\"a\\tb\"", String(repeating: "a", count: 4_097),
        ] {
            #expect(route("set_header X-A \(wrong);") == nil, "\(wrong)")
        }
    }

    @Test("a route says one thing of a field")
    func conflicts() {
        let twice = "this field is given twice in one route"
        for (text, message) in [
            ("set_header X-A 1; set_header x_a 2;", twice), ("remove_header X-A; remove_header X.A;", twice),
            ("set_header X-A 1; remove_header x-a;", "'set_header' has this field already"),
            ("set_header X-A 1; identity_header X_A claim a;", "'identity_header' has this field already"),
            ("remove_header X-A; identity_header X-A claim a;", "'identity_header' has this field already"),
        ] {
            #expect(messages(load(minimal(route: text))) == [message], "\(text)")
        }
        #expect(
            load(minimal(route: "set_header X-A 1; remove_header X-B; identity_header X-C claim c;"))
                .diagnostics == [])
    }

    @Test("no diagnostic shows the credential that a field is set to")
    func credentials() {
        let secret = "c2VydmljZTpwYXNz"
        for text in [
            "set_header Authorization \"Basic \(secret)\" now;",
            "set_header Authorization \(secret); nonsense;",
            "set_heder X-Api-Key \(secret);", "set_header x-service-token \(secret) \(secret);",
        ] {
            let loaded = load(minimal(route: text))
            #expect(loaded.configuration == nil)
            #expect(loaded.diagnostics.allSatisfy { !$0.rendered.contains(secret) }, "\(text)")
        }
        // Whatever is no credential is shown, for that is what helps.
        let loaded = load(minimal(route: "set_header X-Api-Version visible now;"))
        #expect(loaded.diagnostics.contains { $0.rendered.contains("visible") })
    }
}
