// `POST /introspect` on the control listener (RFC 7662): whether a token is good at this moment, and what it
// says. For back ends that are handed a token and not a request. A token that is asked about is neither
// remembered nor taken for seen, and a refresh token is not used up.

import Configuration
import HTTP
import JOSE
import Primitives
import Sessions

/// Tells back ends of tokens.
enum Introspection {
    static func answer(_ connection: DownstreamConnection) {
        guard let token = EndpointParameters(connection)?["token"] else {
            let error = OAuthError.invalidRequest("The request carries no token")
            connection.exchange.reason = error.code
            connection.respond(error.response)
            return
        }
        // `token_type_hint` is not needed: the kinds of token are told apart by their looks.
        let shard = connection.shard
        let bytes = RefreshEndpoint.opaque(Array(token.utf8), connection)
        let verdict = shard.gatekeeper.inspect(token.utf8.span, now: shard.wallTime)
        switch verdict {
        case .accepted(let verified): connection.respond(active(verified))
        case .refused where RefreshTokenMint.looksLikeToken(bytes.span):
            connection.awaitReply(.control(.introspect), .inspect(token: bytes))
        case .refused: connection.respond(inactive)
        case .undecided(let issuer):
            switch shard.decide(issuer: issuer, for: connection) {
            case .again: answer(connection)
            case .wait:
                connection.exchange.awaited = .keys
                connection.exchange.phase = .awaitingReply
            case .unknown: connection.respond(inactive)
            // Nobody can tell: "no" would be taken for an answer.
            case .unavailable(let seconds):
                connection.respond(.refusal(.keysUnavailable(retryAfterSeconds: seconds)))
            }
        }
    }

    /// The refresh service has looked at a refresh token.
    static func answer(_ connection: DownstreamConnection, _ found: StoredSession?) {
        guard let found else {
            connection.respond(inactive)
            return
        }
        var body = JSONWriter(reserving: 256)
        body.beginObject()
        body.boolean("active", true)
        body.string("token_use", "refresh_token")
        body.string("iss", connection.shard.runtime.configuration.accessToken.issuer)
        body.string("sub", found.session.subject)
        body.string("sid", found.session.sid.text)
        body.number("iat", found.session.rotated.seconds)
        body.number("exp", found.session.refreshDeadline.seconds)
        body.endObject()
        connection.respond(response(body))
    }

    /// RFC 7662 §2.2: whatever is wrong with a token, "the authorization server SHOULD NOT include any
    /// additional information about an inactive token".
    private static var inactive: LocalResponse {
        var body = JSONWriter()
        body.beginObject()
        body.boolean("active", false)
        body.endObject()
        return response(body)
    }

    private static func active(_ token: VerifiedToken) -> LocalResponse {
        var body = JSONWriter(reserving: 512)
        body.beginObject()
        body.boolean("active", true)
        body.string("token_type", "Bearer")
        body.string("token_use", "access_token")
        body.string("sub", token.subject)
        body.number("exp", token.expiresAt)
        if !token.scopes.isEmpty { body.string("scope", token.scopes.joined(separator: " ")) }
        for member in token.claims.root.members where !ours.contains(member.name) {
            // A single token carries the refresh token, which is for its client alone.
            if token.isOurs && member.name == TokenStyle.refreshClaim { continue }
            body.json(member.name, member.value.text)
        }
        body.endObject()
        return response(body)
    }

    private static func response(_ body: JSONWriter) -> LocalResponse {
        var response = LocalResponse.json(200, body.bytes)
        response.fields += TokenDelivery.noStore
        return response
    }

    /// What is said in our words, whatever the token has under these names.
    private static let ours: Set<String> = ["active", "token_type", "token_use", "sub", "exp", "scope"]
}
