// Whether the gateway lives, and whether it is to be sent requests. Both are answered by the loop that serves
// requests, so a loop that hangs is told by its silence; and to everybody, since who asks has no secret.

import HTTP
import JOSE
import Sessions
import Primitives

/// One of the things that must be so.
struct ReadinessCheck {
    let name: String
    /// Why not, in a word; nil where all is well.
    let reason: String?
}

/// `/healthz`, `/livez` and `/readyz` of the control listener.
enum HealthEndpoint {
    static func live(_ connection: DownstreamConnection) {
        connection.respond(.json(200, Array("{\"ok\":true}".utf8)))
    }

    /// 503 with the reasons while others should be asked instead; `?verbose` lists every check.
    static func ready(_ connection: DownstreamConnection) {
        let checks = checks(connection.shard)
        let reasons = checks.compactMap(\.reason)
        var body = JSONWriter()
        body.beginObject()
        body.boolean("ready", reasons.isEmpty)
        if !reasons.isEmpty {
            body.beginArray("reasons")
            for reason in reasons { body.string(nil, reason) }
            body.endArray()
        }
        if isVerbose(connection) {
            body.beginArray("checks")
            for check in checks {
                body.beginObject()
                body.string("name", check.name)
                body.boolean("ok", check.reason == nil)
                if let reason = check.reason { body.string("reason", reason) }
                body.endObject()
            }
            body.endArray()
        }
        body.endObject()
        var response = LocalResponse.json(reasons.isEmpty ? 200 : 503, body.bytes)
        response.fields.append(("Cache-Control", "no-store"))
        if let first = reasons.first {
            connection.exchange.reason = first
            response.fields.append(("Retry-After", "1"))
        }
        connection.respond(response)
    }

    /// The listener opens only once keys, sessions and revocations are loaded, so a gateway that starts
    /// cannot be asked yet. No upstream is among the checks: while one is down, the other routes and the
    /// refresh endpoint serve, and where all gateways would say that they are not ready for it, nobody would
    /// be left to answer 502.
    static func checks(_ shard: Shard) -> [ReadinessCheck] {
        let runtime = shard.runtime
        let isLost = runtime.sessions.metrics.isStoreLost(now: shard.wallTime)
        return [
            ReadinessCheck(name: "serving", reason: shard.isReady ? nil : "draining"),
            ReadinessCheck(name: "store", reason: isLost ? "store_unavailable" : nil),
            ReadinessCheck(
                name: "keys", reason: runtime.publishedKeys.set.keys.isEmpty ? "no_signing_key" : nil),
        ]
    }

    private static func isVerbose(_ connection: DownstreamConnection) -> Bool {
        let query = connection.head.block.withBytes { bytes in
            String(lossy: bytes.extracting(connection.head.query.offsets))
        }
        return query.drop { $0 == "?" }.split(separator: "&").contains {
            $0.prefix { $0 != "=" } == "verbose"
        }
    }
}
