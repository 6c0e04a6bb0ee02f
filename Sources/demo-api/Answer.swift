// An answer of the demo API: status, fields, and a body that is either at hand or made while it is sent.

import HTTP
import Primitives

/// What a request is answered with.
struct Answer {
    /// Where the bytes of the body come from.
    enum Body {
        case bytes([UInt8])
        /// So many bytes of the alphabet, made as the client takes them.
        case pattern(count: UInt64, isChunked: Bool)
        /// A `text/event-stream` with an event a second, for the subject it is for.
        case events(subject: String?)
    }

    var status: Int
    /// Field lines beside those that `writeHead` makes itself.
    var fields: [(name: StaticString, value: String)] = []
    var contentType = "application/json"
    var body = Body.bytes([])
    /// How long the answer waits before it is sent.
    var delayMilliseconds: Int64 = 0

    /// An answer with a JSON object.
    static func json(_ status: Int, _ members: (inout JSONWriter) -> Void) -> Answer {
        var writer = JSONWriter()
        writer.beginObject()
        members(&writer)
        writer.endObject()
        // What is said here is said to one subject: no cache may give it to the next.
        return Answer(status: status, fields: [("Cache-Control", "no-store")], body: .bytes(writer.bytes))
    }

    /// A refusal, as JSON with one word.
    static func problem(_ status: Int, _ word: String) -> Answer {
        json(status) { $0.string("error", word) }
    }

    /// An answer without a body.
    static func empty(_ status: Int) -> Answer { Answer(status: status) }

    /// A page. Browsers ask again each time, so that a page of a session is not shown after it.
    static func page(_ html: String) -> Answer {
        Answer(
            status: 200, fields: [("Cache-Control", "no-cache")], contentType: "text/html; charset=utf-8",
            body: .bytes(Array(html.utf8)))
    }

    /// The same answer with one more field line.
    func adding(_ name: StaticString, _ value: String) -> Answer {
        var answer = self
        answer.fields.append((name, value))
        return answer
    }

    /// How the end of the body is told (RFC 9112 §6.3); HTTP/1.0 knows no chunks, there the connection's end
    /// does.
    func framing(for version: Version) -> BodyFraming {
        if status == 204 { return .none }
        switch body {
        case .bytes(let bytes): return .length(UInt64(bytes.count))
        case .pattern(let count, isChunked: false): return .length(count)
        case .pattern, .events: return Self.openFraming(for: version)
        }
    }

    /// The framing of a body whose length is not known before its end.
    static func openFraming(for version: Version) -> BodyFraming {
        version == .http11 ? .chunked : .untilClose
    }

    /// Writes status line and field lines.
    ///
    /// - Parameter connection: the value of the Connection field; nil for none.
    func writeHead(to output: inout ByteBuffer, framing: BodyFraming, date: String, connection: StaticString?)
    {
        output.append("HTTP/1.1 ")
        output.append(decimal: UInt64(status))
        output.append(" ")
        output.append(Status.phrase(status))
        output.append("\r\nDate: ")
        output.append(text: date)
        output.append("\r\n")
        for field in fields {
            output.append(field.name)
            output.append(": ")
            output.append(text: field.value)
            output.append("\r\n")
        }
        if framing != .none && framing != .length(0) {
            output.append("Content-Type: ")
            output.append(text: contentType)
            output.append("\r\n")
        }
        switch framing {
        case .length(let length):
            output.append("Content-Length: ")
            output.append(decimal: length)
            output.append("\r\n")
        case .chunked: output.append("Transfer-Encoding: chunked\r\n")
        case .none, .untilClose: break
        }
        if let connection {
            output.append("Connection: ")
            output.append(connection)
            output.append("\r\n")
        }
        output.append("\r\n")
    }
}
