// Responses that the gateway makes itself: refusals as RFC 9457 problem documents, and the answers of its
// endpoints.

import Configuration
import HTTP
import Primitives

/// A response without an upstream.
struct LocalResponse {
    var status: Int
    /// Field lines beside Content-Type, Content-Length and Connection.
    var fields: [(name: StaticString, value: String)] = []
    /// Whole lines beside them.
    var lines: [UInt8] = []
    var contentType = "application/json"
    var body: [UInt8] = []

    /// An answer with a JSON body.
    static func json(_ status: Int, _ body: [UInt8]) -> LocalResponse {
        LocalResponse(status: status, body: body)
    }

    /// An answer without a body.
    static func empty(_ status: Int) -> LocalResponse { LocalResponse(status: status) }

    /// RFC 9457: `application/problem+json` with a stable type and code, and a fixed sentence. Nothing of the
    /// request is in it.
    static func problem(_ status: Int, code: String, detail: String) -> LocalResponse {
        var body = JSONWriter()
        body.beginObject()
        body.string("type", "urn:auth-gateway:problem:\(code)")
        body.string("title", Status.phrase(status).description)
        body.number("status", Int64(status))
        body.string("code", code)
        body.string("detail", detail)
        body.endObject()
        var response = LocalResponse(
            status: status, contentType: "application/problem+json", body: body.bytes)
        // Whether there is an answer at all hangs on credentials: no cache may give it to the next caller.
        response.fields.append(("Cache-Control", "no-store"))
        return response
    }

    /// An answer that sends the client elsewhere; never to be remembered.
    static func redirect(_ status: Int, to location: String) -> LocalResponse {
        var response = LocalResponse(status: status)
        response.fields = [("Location", location), ("Cache-Control", "no-store")]
        return response
    }

    /// `respond` of a route.
    static func fixed(_ response: FixedResponse) -> LocalResponse {
        LocalResponse(
            status: response.status, contentType: response.contentType, body: Array(response.body.utf8))
    }

    /// The answer to a failure of an exchange.
    ///
    /// - Parameter allow: the methods that there are, where that is known.
    static func failure(_ error: ProxyError, allow: String = commonMethods) -> LocalResponse {
        var response = problem(error.status, code: error.word, detail: error.explanation)
        switch error {
        case .rateLimited(let seconds): response.fields.append(("Retry-After", String(seconds)))
        // RFC 9110 §15.5.6: "The origin server MUST generate an Allow header field in a 405 response".
        case .methodNotAllowed, .violation(.connectMethod): response.fields.append(("Allow", allow))
        case _ where error.status == 503: response.fields.append(("Retry-After", "1"))
        default: break
        }
        return response
    }

    /// Whatever the gateway itself does not refuse on every path.
    static let commonMethods = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"

    /// The answer to a request that the gate refuses.
    static func refusal(_ refusal: GateRefusal) -> LocalResponse {
        var response = problem(refusal.status, code: refusal.code, detail: refusal.explanation)
        if let challenge = refusal.challenge { response.fields.append(("WWW-Authenticate", challenge)) }
        if case .keysUnavailable(let seconds) = refusal {
            response.fields.append(("Retry-After", String(seconds)))
        }
        return response
    }

    /// Writes the response.
    ///
    /// - Parameters:
    ///   - date: now, as HTTP writes it: RFC 9110 §6.6.1, an origin with a clock MUST send Date.
    ///   - omitsBody: the request was HEAD: its answer says how long the body would be and has none.
    ///   - connection: the value of the Connection field; nil for none.
    func write(to output: inout ByteBuffer, date: [UInt8], omitsBody: Bool, connection: StaticString?) {
        output.append("HTTP/1.1 ")
        output.append(decimal: UInt64(status))
        output.append(" ")
        output.append(Status.phrase(status))
        output.append("\r\nDate: ")
        output.append(date)
        output.append("\r\n")
        for field in fields {
            output.append(field.name)
            output.append(": ")
            output.append(text: field.value)
            output.append("\r\n")
        }
        output.append(lines)
        if let connection {
            output.append("Connection: ")
            output.append(connection)
            output.append("\r\n")
        }
        // RFC 9110 §8.6: no Content-Length in a 204; in a 304 it would be the one of the 200.
        if status == 204 || status == 304 {
            output.append("\r\n")
            return
        }
        if !body.isEmpty {
            output.append("Content-Type: ")
            output.append(text: contentType)
            output.append("\r\n")
        }
        output.append("Content-Length: ")
        output.append(decimal: UInt64(body.count))
        output.append("\r\n\r\n")
        if !omitsBody { output.append(body) }
    }
}
