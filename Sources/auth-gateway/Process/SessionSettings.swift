// What a configuration says of sessions and of their tokens, in the words of the refresh service.

import Configuration
import Sessions

extension SessionPolicy {
    /// What a configuration says of sessions and their tokens.
    init(_ configuration: GatewayConfiguration) {
        self.init(
            issuer: configuration.accessToken.issuer, audience: configuration.accessToken.audience,
            accessLifetime: configuration.accessToken.lifetimeMilliseconds,
            leeway: configuration.accessToken.leewayMilliseconds,
            idleLifetime: configuration.refreshToken.idleLifetimeMilliseconds,
            maxLifetime: configuration.refreshToken.maxLifetimeMilliseconds,
            cookieRaceWindow: configuration.refreshToken.cookieRaceWindowMilliseconds,
            bodyRaceWindow: configuration.refreshToken.bodyRaceWindowMilliseconds,
            style: TokenStyle(configuration), jitterPercent: Int64(configuration.accessToken.jitterPercent),
            sessionsPerSubject: configuration.refreshToken.sessionsPerSubject)
    }
}

extension TokenStyle {
    /// What a configuration says of the form of tokens.
    init(_ configuration: GatewayConfiguration) {
        if let useExpiry = configuration.accessToken.useExpiry {
            self = .single(claim: useExpiry.claim, useLifetime: useExpiry.lifetimeMilliseconds)
        } else {
            self = configuration.refreshToken.format == .jwt ? .signedRefresh : .opaqueRefresh
        }
    }
}
