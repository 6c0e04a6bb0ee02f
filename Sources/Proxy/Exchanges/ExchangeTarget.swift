// What is exchanged for a session, so that a move to the gateway logs nobody out: a token that something else
// has signed, or a cookie that an upstream vouches for, each until a date.

package import Configuration
import JOSE
import Primitives

/// One `exchange` block, with its keys.
package final class ExchangeTarget: Sendable {
    let configuration: ExchangeConfiguration
    /// How the tokens are judged; nil where a cookie is.
    let trusted: TrustedIssuer?

    /// - Throws: which file or key cannot be used.
    init(_ configuration: ExchangeConfiguration, tokenBytesMax: Int) throws(RuntimeError) {
        self.configuration = configuration
        guard case .token(let token) = configuration.kind else {
            trusted = nil
            return
        }
        let keys = try FixedKeys.read(token.keys, algorithms: [], place: configuration.place)
        do throws(JOSEError) {
            trusted = TrustedIssuer(
                policy: ClaimsPolicy(token, tokenBytesMax: tokenBytesMax), keys: try KeySet(keys: keys))
        } catch {
            throw RuntimeError(
                reason: "\(configuration.place): exchange: two keys without a name are of one algorithm")
        }
    }

    func isOver(at now: WallTime) -> Bool { now.seconds >= configuration.until }

    /// The cookie that the credential comes in; nil where it comes as a refresh token does.
    var cookieName: [UInt8]? {
        switch configuration.kind {
        case .token(let token): token.cookieName.map { Array($0.utf8) }
        case .cookie(let cookie): Array(cookie.name.utf8)
        }
    }

    /// What is wrong with the keys of a configuration's exchanges; nil when nothing is.
    package static func problem(of configuration: GatewayConfiguration) -> String? {
        do throws(RuntimeError) {
            for exchange in configuration.refreshToken.exchanges {
                _ = try ExchangeTarget(exchange, tokenBytesMax: configuration.limits.accessTokenBytes)
            }
            return nil
        } catch {
            return error.reason
        }
    }
}

extension ClaimsPolicy {
    /// What an `exchange token` block asks of tokens.
    fileprivate init(_ configuration: LegacyTokenConfiguration, tokenBytesMax: Int) {
        self.init(issuer: configuration.issuer ?? "", audiences: configuration.audiences)
        takesAnyIssuer = configuration.issuer == nil
        takesAnyAudience = configuration.audiences.isEmpty
        leewaySeconds = configuration.leewayMilliseconds / 1000
        expiredSecondsMax = configuration.expiredMilliseconds / 1000
        self.tokenBytesMax = tokenBytesMax
        types =
            configuration.types.isEmpty
            ? ["", "jwt", "at+jwt"] : configuration.types.map { $0 == "none" ? "" : $0 }
        hasSessionClaims = false
        subjectPath = configuration.subjectClaim.parts
        takesNumericSubject = true
    }
}
