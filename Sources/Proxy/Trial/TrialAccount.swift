// How a trial tells what it has found: a sentence for each rule that was asked, in the words of the
// configuration.

import Configuration
import JOSE
import Primitives

extension TrialVerdict {
    mutating func note(_ rule: String, _ result: Step.Result, _ text: String) {
        steps.append(Step(rule: rule, result: result, text: text))
    }

    mutating func refuse(_ error: ProxyError, rule: String) {
        note(rule, .refused, error.explanation)
        outcome = .refused(status: error.status, code: error.word)
    }

    /// Whether an observed route lets pass what another one refuses.
    mutating func lets(_ route: Route, _ error: ProxyError, rule: String, text: String) -> Bool {
        note(rule, .refused, text)
        outcome = .refused(status: error.status, code: error.word)
        if route.configuration.isObserved { observe(error.word) }
        return route.configuration.isObserved
    }

    /// What has just been refused is let through, because the route is observed.
    mutating func observe(_ code: String) {
        for index in steps.indices where steps[index].result == .refused { steps[index].result = .observed }
        if observed.isEmpty { observed = code }
    }

    /// What a route has asked for, and got.
    mutating func explain(_ route: RouteConfiguration, token: VerifiedToken?) {
        guard let token else {
            note(
                "access", .passed,
                route.access == .anonymous
                    ? "anonymous: no token is looked at" : "optional: there is no token, and none is needed")
            return
        }
        note("access", .passed, "\(route.access.rawValue): \(Self.bearer(of: token))")
        explainRequirements(route, token, until: nil)
    }

    /// What a route has asked for in vain.
    mutating func explain(_ refusal: GateRefusal, _ route: RouteConfiguration, token: VerifiedToken?) {
        let access = route.access.rawValue
        guard let token else {
            let text = refusal == .noCredential ? "there is no token" : refusal.explanation
            note("access", .refused, "\(access): \(text)")
            return
        }
        note("access", .passed, "\(access): \(Self.bearer(of: token))")
        switch refusal {
        case .crossOrigin: note("cross-origin rule", .refused, refusal.explanation)
        default: explainRequirements(route, token, until: refusal)
        }
    }

    private mutating func explainRequirements(
        _ route: RouteConfiguration, _ token: VerifiedToken, until refusal: GateRefusal?
    ) {
        if !route.requiredScopes.isEmpty {
            let missing = route.requiredScopes.filter { !AccessRule.has($0, token) }
            let list = missing.joined(separator: " ")
            note(
                "require scope \(route.requiredScopes.joined(separator: " "))",
                missing.isEmpty ? .passed : .refused,
                missing.isEmpty ? "the token has it" : "the token lacks \(list)")
            if !missing.isEmpty { return }
        }
        let unmet = refusal == .missingClaim ? AccessRule.unmet(route, by: token) : nil
        for requirement in route.requiredClaims {
            let name = requirement.claim.parts.joined(separator: ".")
            let rule = "require claim \(name) \(requirement.values.joined(separator: " "))"
            let found = token.claim(at: requirement.claim.parts)
            let text =
                found.map { "it is \(String(decoding: $0.text, as: UTF8.self))" } ?? "the token has none"
            note(rule, requirement == unmet ? .refused : .passed, text)
            if requirement == unmet { return }
        }
    }

    private static func bearer(of token: VerifiedToken) -> String {
        let issuer = token.isOurs ? "" : " of \(token.claim("iss")?.string ?? "")"
        return "a good token of \(token.subject)\(issuer)"
    }
}
