// `POST /tokens/inspect` on the control listener: what would become of a token here, and why. Looks and
// touches nothing: a token that is inspected is neither remembered nor taken for seen.

import Configuration
import HTTP
import JOSE
import Primitives
import Sessions

/// Judges a token for people.
enum TokenInspection {
    static func inspect(_ connection: DownstreamConnection) {
        guard let token = EndpointParameters(connection)?["token"] else {
            connection.exchange.reason = "token"
            connection.respond(
                .problem(400, code: "token", detail: "The body must be a form or JSON with a token"))
            return
        }
        let bytes = Array(token.utf8)
        var body = JSONWriter()
        body.beginObject()
        if RefreshTokenMint.looksLikeToken(bytes.span) {
            body.string("kind", "refresh_token")
            body.string("verdict", "refused")
            body.string("code", GateRefusal.misplacedRefreshToken.code)
            body.string("reason", GateRefusal.misplacedRefreshToken.explanation)
        } else {
            write(bytes, connection, to: &body)
        }
        body.endObject()
        connection.respond(.json(200, body.bytes))
    }

    private static func write(
        _ token: [UInt8], _ connection: DownstreamConnection, to body: inout JSONWriter
    ) {
        let shard = connection.shard
        body.string("kind", "access_token")
        switch shard.gatekeeper.inspect(token.span, now: shard.wallTime) {
        case .accepted(let verified):
            body.string("verdict", "accepted")
            body.string("issuer", verified.claim("iss")?.string ?? "")
            body.boolean("own", verified.isOurs)
            body.string("subject", verified.subject)
            body.string("expires", CivilTime(WallTime(seconds: verified.expiresAt)).rfc3339)
        case .refused(let rejection):
            body.string("verdict", "refused")
            body.string("code", rejection.code)
            body.string("reason", rejection.explanation.description)
        case .undecided(let issuer):
            body.string("verdict", "undecided")
            body.string("code", TokenRejection.unknownKey.code)
            body.string("issuer", shard.runtime.issuers[issuer - 1].configuration.issuer)
            body.string("reason", "Its key is not known yet; the issuer would be asked for it")
        }
    }
}
