// Calls from pages of other origins: what is a preflight and what it is told, what a response lets a page
// read, and whose unsafe requests may come with a cookie. Each refusal stands beside its nearest neighbour.

import Configuration
import HTTP
import Primitives
import Support
import Testing

@testable import Proxy

private let app = "https://app.example"
private let vary =
    "Vary: Origin, Access-Control-Request-Method, Access-Control-Request-Headers\r\n"

private func rules(_ change: (inout CORSConfiguration) -> Void = { _ in }) -> CrossOrigin {
    var configuration = CORSConfiguration()
    configuration.origins = [app, "http://localhost:3000"]
    configuration.allowsCredentials = true
    change(&configuration)
    return CrossOrigin(configuration)
}

@Suite("CORS: preflights")
struct PreflightTests {
    @Test("a listed origin is told what it may, and its fields are allowed as it asked for them")
    func allowed() throws {
        let fields =
            "Origin: \(app)\r\nAccess-Control-Request-Method: PUT\r\n"
            + "Access-Control-Request-Headers: authorization,content-type\r\n"
        #expect(
            try answer(rules(), fields)
                == "204 Access-Control-Allow-Origin: https://app.example\r\n"
                + "Access-Control-Allow-Credentials: true\r\n"
                + "Access-Control-Allow-Methods: GET, HEAD, POST, PUT, PATCH, DELETE\r\n"
                + "Access-Control-Max-Age: 600\r\n"
                + "Access-Control-Allow-Headers: authorization, content-type\r\n" + vary)
    }

    @Test("what the configuration says goes for what is said by default")
    func configured() throws {
        let some = rules {
            $0.origins = []
            $0.allowsCredentials = true
            $0.methods = ["GET", "QUERY"]
            $0.requestFields = ["X-One", "X-Two"]
            $0.exposedFields = ["ETag"]
            $0.maxAgeMilliseconds = 86_400_999
        }
        let fields =
            "Origin: null\r\nAccess-Control-Request-Method: GET\r\n"
            + "Access-Control-Request-Headers: x-three\r\n"
        #expect(
            try answer(some, fields)
                == "204 Access-Control-Allow-Origin: *\r\nAccess-Control-Allow-Methods: GET, QUERY\r\n"
                + "Access-Control-Allow-Headers: X-One, X-Two\r\nAccess-Control-Max-Age: 86400\r\n" + vary)
        let ofRoute = CrossOrigin(CORSConfiguration(), routeMethods: ["GET", "HEAD"])
        #expect(try answer(ofRoute, fields).contains("Allow-Methods: GET, HEAD\r\n"))
    }

    @Test(
        "another origin gets 403 and no permission",
        arguments: [
            "Origin: https://evil.example", "Origin: null", "Origin: http://app.example",
            "Origin: https://app.example:443", "Origin: https://APP.example", "Origin: https://app.example/",
            "Origin: https://app.example.evil.example", "Origin: https://xapp.example", "Origin: ",
            "Origin: https://app.example\r\nOrigin: https://app.example",
            "Origin: https://app.example, https://evil.example",
        ])
    func others(_ origin: String) throws {
        #expect(
            try answer(rules(), "\(origin)\r\nAccess-Control-Request-Method: GET\r\n") == "403 \(vary)")
        let origin = "Origin: \(app)\r\nAccess-Control-Request-Method: GET\r\n"
        #expect(try answer(rules(), origin).hasPrefix("204 "))
    }

    @Test("two Origin fields are refused where any origin may call, too")
    func twoOrigins() throws {
        let method = "Access-Control-Request-Method: GET\r\n"
        let open = rules { $0.origins = [] }
        #expect(try answer(open, "Origin: https://a\r\n\(method)").hasPrefix("204 "))
        #expect(try answer(open, "Origin: https://a\r\nOrigin: https://a\r\n\(method)") == "403 \(vary)")
    }

    @Test("OPTIONS alone is no preflight, and neither is what only looks like one")
    func none() throws {
        let method = "Access-Control-Request-Method: GET\r\n"
        for (line, fields) in [
            ("OPTIONS", "Origin: \(app)\r\n"), ("OPTIONS", method), ("GET", "Origin: \(app)\r\n\(method)"),
            ("OPTIONSX", "Origin: \(app)\r\n\(method)"), ("options", "Origin: \(app)\r\n\(method)"),
            ("OPTIONS", "Origin: \(app)\r\nAccess_Control_Request_Method: GET\r\n"),
        ] {
            #expect(try answer(rules(), fields, method: line) == "none")
        }
    }

    @Test(
        "a method or a field name that is no token is refused",
        arguments: [
            ("Access-Control-Request-Method: ", "Access-Control-Request-Method: X-OTHER"),
            ("Access-Control-Request-Method: GET, PUT", "Access-Control-Request-Method: PUT"),
            (
                "Access-Control-Request-Method: GET\r\nAccess-Control-Request-Method: GET",
                "Access-Control-Request-Method: GET"
            ),
            (
                "Access-Control-Request-Method: GET\r\nAccess-Control-Request-Headers: a,b(c",
                "Access-Control-Request-Method: GET\r\nAccess-Control-Request-Headers: a,b,,c ,"
            ),
            (
                "Access-Control-Request-Method: GET\r\nAccess-Control-Request-Headers: a: b",
                "Access-Control-Request-Method: GET\r\nAccess-Control-Request-Headers: "
            ),
        ])
    func tokens(_ refused: String, _ accepted: String) throws {
        #expect(try answer(rules(), "Origin: \(app)\r\n\(refused)\r\n") == "403 \(vary)")
        #expect(try answer(rules(), "Origin: \(app)\r\n\(accepted)\r\n").hasPrefix("204 "))
    }

    @Test("the names that are sent back are bounded, over all lines")
    func bounded() throws {
        let opening = "Origin: \(app)\r\nAccess-Control-Request-Method: GET\r\n"
        let name = "Access-Control-Request-Headers: "
        let half = String(repeating: "x", count: CrossOrigin.requestFieldsBytesMax / 2 - 2)
        let fits = try answer(rules(), opening + "\(name)\(half)\r\n\(name)\(half)\r\n")
        #expect(fits.contains("Allow-Headers: \(half), \(half)\r\n"))
        #expect(try answer(rules(), opening + "\(name)\(half)xx\r\n\(name)\(half)x\r\n") == "403 \(vary)")
    }

    @Test("a listed origin may reach into a private network, any origin may not")
    func privateNetwork() throws {
        let fields =
            "Origin: \(app)\r\nAccess-Control-Request-Method: GET\r\n"
            + "Access-Control-Request-Private-Network: true\r\n"
        let line = "Access-Control-Allow-Private-Network: true\r\n"
        #expect(try answer(rules(), fields).contains(line))
        #expect(try !answer(rules(), fields.replacing("true", with: "false")).contains(line))
        let open = try answer(rules { $0.origins = [] }, fields)
        #expect(open.hasPrefix("204 "))
        #expect(!open.contains(line))
    }

    private func answer(_ rules: CrossOrigin, _ fields: String, method: String = "OPTIONS") throws -> String {
        let head = try Heads.request("\(method) /x HTTP/1.1\r\nHost: h\r\n\(fields)\r\n")
        guard let answer = rules.preflightAnswer(to: head) else { return "none" }
        return "\(answer.status) \(String(decoding: answer.fields, as: UTF8.self))"
    }
}

@Suite("CORS: responses")
struct CrossOriginResponseTests {
    @Test("a listed origin may read the response, and every response differs by origin")
    func listed() throws {
        let some = rules { $0.exposedFields = ["ETag", "X-Total"] }
        #expect(
            try lines(some, "Origin: http://localhost:3000\r\n")
                == "Access-Control-Allow-Origin: http://localhost:3000\r\n"
                + "Access-Control-Allow-Credentials: true\r\n"
                + "Access-Control-Expose-Headers: ETag, X-Total\r\nVary: Origin\r\n")
        for fields in [
            "", "Origin: https://evil.example\r\n", "Origin: null\r\n",
            "Origin: \(app)\r\nOrigin: \(app)\r\n", "X_Origin: \(app)\r\n",
        ] {
            #expect(try lines(some, fields) == "Vary: Origin\r\n")
        }
    }

    @Test("where any origin may read it, that is said to all, without credentials")
    func open() throws {
        let open = rules { $0.origins = [] }
        for fields in ["", "Origin: https://any.example\r\n", "Origin: null\r\n"] {
            #expect(try lines(open, fields) == "Access-Control-Allow-Origin: *\r\n")
        }
    }

    @Test("without credentials none are offered")
    func withoutCredentials() throws {
        let some = rules { $0.allowsCredentials = false }
        #expect(
            try lines(some, "Origin: \(app)\r\n")
                == "Access-Control-Allow-Origin: https://app.example\r\nVary: Origin\r\n")
    }

    @Test("what an upstream says of it is removed, in any spelling; its Vary stays")
    func upstream() throws {
        var head = try Heads.response(
            "HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: *\r\naccess-control-allow-credentials: true\r\n"
                + "Access_Control_Allow_Origin: *\r\nAccess-Control-Allow-Private-Network: true\r\n"
                + "Access-Control-Expose-Headers: *\r\nAccess-Control-Max-Age: 1\r\nVary: Accept\r\n"
                + "Access-Control-Allow-Methods: *\r\nAccess-Control-Allow-Headers: *\r\nETag: x\r\n\r\n")
        CrossOrigin.removeFields(of: &head.block)
        #expect(head.block.written() == Array("Vary: Accept\r\nETag: x\r\n".utf8))
    }

    @Test("a cookie's word changes something only from a listed origin, with credentials")
    func stateChange() throws {
        #expect(try changes(rules(), "Origin: \(app)\r\n"))
        #expect(try changes(rules(), "Origin: http://localhost:3000\r\n"))
        for fields in [
            "", "Origin: https://evil.example\r\n", "Origin: null\r\n", "Origin: http://localhost\r\n",
            "Origin: \(app)\r\nOrigin: \(app)\r\n",
        ] {
            #expect(try !changes(rules(), fields))
        }
        #expect(try !changes(rules { $0.allowsCredentials = false }, "Origin: \(app)\r\n"))
        #expect(try !changes(rules { $0.origins = [] }, "Origin: \(app)\r\n"))
    }

    private func lines(_ rules: CrossOrigin, _ fields: String) throws -> String {
        let head = try Heads.request("GET /x HTTP/1.1\r\nHost: h\r\n\(fields)\r\n")
        var output = ByteBuffer()
        rules.writeFields(for: head, to: &output)
        return output.withReadable { String(lossy: $0) }
    }

    private func changes(_ rules: CrossOrigin, _ fields: String) throws -> Bool {
        rules.allowsStateChange(try Heads.request("POST /x HTTP/1.1\r\nHost: h\r\n\(fields)\r\n"))
    }
}
