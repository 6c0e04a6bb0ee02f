// What the control listener tells of the gateway: metrics for Prometheus, and one report as a page for people
// and as JSON for programs. Nothing here changes anything.

import Configuration
import Crypto
import HTTP
import Network
import Primitives

/// `/metrics`, `/status` and `/` of the control listener.
enum StatusEndpoint {
    static func metrics(_ connection: DownstreamConnection) {
        let shard = connection.shard
        let text = MetricsPage.bytes(shard.runtime, now: shard.loop.now, wallTime: shard.wallTime)
        connection.respond(
            LocalResponse(status: 200, contentType: "text/plain; version=0.0.4; charset=utf-8", body: text))
    }

    static func json(_ connection: DownstreamConnection) {
        var response = LocalResponse.json(200, StatusReport(connection.shard).json)
        response.fields.append(("Cache-Control", "no-store"))
        connection.respond(response)
    }

    static func page(_ connection: DownstreamConnection) {
        var response = LocalResponse(
            status: 200, contentType: "text/html; charset=utf-8",
            body: StatusPage.html(StatusReport(connection.shard)))
        response.fields = [
            ("Cache-Control", "no-store"), ("Content-Security-Policy", policy),
            ("X-Content-Type-Options", "nosniff"), ("Referrer-Policy", "no-referrer"),
        ]
        connection.respond(response)
    }

    /// Nothing is loaded and nothing runs: the one style sheet is known by its digest.
    private static let policy: String = {
        let style = Array(StatusPage.style.utf8)
        let digest = Base64URL.text(SHA256Hasher().digest(style.span).bytes.span)
        return "default-src 'none'; style-src 'sha256-\(digest)='; base-uri 'none'; form-action 'none'; "
            + "frame-ancestors 'none'"
    }()
}
