// What is wrong with a configuration's policy, or risky in it, that only those can tell who carry it out:
// expectations that do not hold, and routes that do something else than whoever wrote them will think.

package import Configuration
import Network
package import Primitives

/// Looks at a configuration's policy.
package enum PolicyFindings {
    /// Errors for expectations that do not hold, and warnings, by their places.
    package static func find(in configuration: GatewayConfiguration, now: WallTime) -> [Diagnostic] {
        let trial: PolicyTrial
        do throws(RuntimeError) {
            trial = try PolicyTrial(configuration)
        } catch {
            return [Diagnostic(.error, error.reason, at: SourcePlace(), help: nil)]
        }
        let verdicts = configuration.expectations.map { ($0, trial.verdict(on: $0.request, now: now)) }
        var findings: [Diagnostic] = []
        for (expectation, verdict) in verdicts where !verdict.isAs(expectation.outcome) {
            let expected =
                switch expectation.outcome {
                case .forwarded: "to be forwarded"
                case .status(let status): "\(status)"
                }
            findings.append(
                Diagnostic(
                    .error, "this is expected \(expected), but \(verdict.summary)", at: expectation.place,
                    help: verdict.decision))
        }
        let open = verdicts.filter { $0.request.token == nil && $1.isOpen && $1.isAs($0.outcome) }
        let meant = Set(open.compactMap { $0.1.route?.label })
        for route in configuration.routes {
            let dead = unreachable(route, trial.policy)
            findings += dead
            if dead.isEmpty, !meant.contains(route.label) {
                findings += unprotected(route, configuration.routes)
            }
            if dead.isEmpty {
                let tried = verdicts.compactMap { $1.route?.label == route.label ? $1.forwardedPath : nil }
                findings += bypassing(route, configuration.routes, trial.policy, tried)
            }
            if route.isObserved {
                findings.append(
                    Diagnostic(
                        .warning, "this route is observed: what it would refuse is let through",
                        at: route.place, help: "take 'observe' out once the log shows what you expect"))
            }
        }
        for (index, upstream) in configuration.upstreams.enumerated() {
            findings += idle(upstream, index, configuration) + unwatched(upstream)
        }
        findings += exposed(configuration)
        return findings.sorted { ($0.file, $0.line, $0.column) < ($1.file, $1.line, $1.column) }
    }

    // MARK: - Routes

    /// A route that no request takes, found by asking for what it is for.
    private static func unreachable(_ route: RouteConfiguration, _ policy: RequestPolicy) -> [Diagnostic] {
        let below = (route.path.hasSuffix("/") ? route.path : route.path + "/") + "~"
        let authority = Array((route.host ?? "any.invalid").utf8)
        var reason = ""
        for path in route.isExact ? [route.path] : [route.path, below] {
            let bytes = Array(path.utf8)
            if policy.isOwn(bytes.span) {
                reason = "this path is the gateway's own"
                continue
            }
            switch policy.choose(path: bytes.span, authority: authority.span) {
            case .route(let taken) where taken.configuration.label == route.label: return []
            case .route(let taken):
                reason = "requests for it take \(taken.configuration.label) at \(taken.configuration.place)"
            case .refused:
                reason =
                    "with '%' or ';' it can be read in two ways, and is refused: say it of the path above"
            }
        }
        return [Diagnostic(.warning, "no request takes this route", at: route.place, help: reason)]
    }

    /// An anonymous route below a protected one is often a hole and sometimes meant. Below `/` it is neither.
    private static func unprotected(
        _ route: RouteConfiguration, _ routes: [RouteConfiguration]
    ) -> [Diagnostic] {
        if route.access != .anonymous { return [] }
        let enclosing = routes.filter { other in
            !other.isExact && other.path != "/" && other.label != route.label
                && (other.host == nil || other.host == route.host)
                && RoutePath.lies(route.path, under: other.path)
        }
        let nearest = enclosing.max {
            ($0.path.utf8.count, $0.host == nil ? 0 : 1) < ($1.path.utf8.count, $1.host == nil ? 0 : 1)
        }
        guard let nearest, nearest.access == .required else { return [] }
        return [
            Diagnostic(
                .warning, "this anonymous route lies under a protected one", at: route.place,
                help: "the protected one is at \(nearest.place); where this is meant, say so: "
                    + "expect \(route.methods.first ?? "GET") \(sampleTarget(route)) anonymous 200;")
        ]
    }

    /// With `strip_prefix` a route leads to every path of its upstream: `/old/admin` is `/admin` to the API,
    /// and past the route that guards it. So is `/admin` where `/api/admin` is guarded, and arrives as that.
    ///
    /// - Parameter tried: what expectations have been forwarded to by this route; who has written one knows.
    private static func bypassing(
        _ route: RouteConfiguration, _ routes: [RouteConfiguration], _ policy: RequestPolicy,
        _ tried: [String]
    ) -> [Diagnostic] {
        let prefix = route.strippedPrefix ?? ""
        let authority = Array((route.host ?? "any.invalid").utf8)
        let passed = routes.first { guarded in
            guard guarded.destination == route.destination, asksMore(guarded, route),
                !prefix.isEmpty || guarded.strippedPrefix != nil && arrival(guarded) != "/",
                guarded.host == nil || route.host == nil || guarded.host == route.host,
                !tried.contains(where: { RoutePath.lies($0, under: arrival(guarded)) }),
                case .route(let taken) = policy.choose(
                    path: Array((prefix + arrival(guarded)).utf8).span, authority: authority.span)
            else { return false }
            return taken.configuration.label == route.label
        }
        guard let passed else { return [] }
        let target = prefix + arrival(passed)
        return [
            Diagnostic(
                .warning,
                "this route leads past another: \(target) arrives as \(arrival(passed)), without the rules of"
                    + " route \(passed.label)", at: route.place,
                help: "that one is at \(passed.place); "
                    + (arrival(passed) == "/" ? "" : "close it: route \(target) { respond 404; } or, ")
                    + "where this is meant, say so with an 'expect'")
        ]
    }

    /// The path of a route as its upstream sees it.
    private static func arrival(_ route: RouteConfiguration) -> String {
        let path = String(route.path.dropFirst(route.strippedPrefix?.count ?? 0))
        return path.isEmpty ? "/" : path
    }

    /// Whether a route asks something of a request that another does not.
    private static func asksMore(_ route: RouteConfiguration, _ other: RouteConfiguration) -> Bool {
        if route.access == .required && other.access != .required { return true }
        return !route.requiredScopes.allSatisfy(other.requiredScopes.contains)
            || !route.requiredClaims.allSatisfy(other.requiredClaims.contains)
    }

    /// A target that takes the route.
    private static func sampleTarget(_ route: RouteConfiguration) -> String {
        route.host.map { "https://\($0)\(route.path)" } ?? route.path
    }

    // MARK: - Upstreams and listeners

    private static func idle(
        _ upstream: UpstreamConfiguration, _ index: Int, _ configuration: GatewayConfiguration
    ) -> [Diagnostic] {
        let isRouted = configuration.routes.contains { $0.destination == .upstream(index) }
        let isAsked =
            configuration.refreshToken.accessCheck?.upstream == index
            || configuration.refreshToken.exchanges.contains { exchange in
                if case .cookie(let cookie) = exchange.kind { cookie.upstream == index } else { false }
            }
        if isRouted || isAsked { return [] }
        return [
            Diagnostic(
                .warning, "nothing goes to this upstream", at: upstream.place,
                help: "add: route /… { upstream \(upstream.name); } or take it out")
        ]
    }

    /// One of several servers that is down gets its share of the requests for ever.
    private static func unwatched(_ upstream: UpstreamConfiguration) -> [Diagnostic] {
        guard upstream.servers.count > 1, upstream.healthCheck == nil, upstream.failuresMax == 0 else {
            return []
        }
        return [
            Diagnostic(
                .warning, "nothing takes a server out that is down", at: upstream.place,
                help: "add: health_check /healthz; or leave 'max_fails' at 3")
        ]
    }

    /// The control listener speaks plain HTTP: on an address that the internet reaches, its secret does too.
    private static func exposed(_ configuration: GatewayConfiguration) -> [Diagnostic] {
        guard let control = configuration.control, case .ip(let host, _) = control.address,
            let address = IPLiteral.bytes(of: host), isPublic(address)
        else { return [] }
        return [
            Diagnostic(
                .warning, "the control listener is on a public address, and speaks plain HTTP",
                at: control.place,
                help: "listen 127.0.0.1:9901; or on an address of a private network")
        ]
    }

    /// RFC 6890: whether an address is one of those that are routed everywhere. That of every interface says
    /// nothing of what they are.
    private static func isPublic(_ address: [UInt8]) -> Bool {
        if address.count == 4 {
            return switch (address[0], address[1]) {
            case (0, _), (10, _), (127, _), (169, 254), (192, 168): false
            case (172, 16...31), (100, 64...127): false
            default: true
            }
        }
        return address[0] & 0xE0 == 0x20
    }
}

extension [Diagnostic] {
    package var hasErrors: Bool { contains { $0.severity == .error } }
}

extension TrialVerdict {
    /// The path that an upstream is asked for; nil where none is.
    fileprivate var forwardedPath: String? {
        guard case .forwarded(let forwarding) = outcome else { return nil }
        return String(forwarding.target.prefix { $0 != "?" })
    }

    /// Whether a request gets what it asks for.
    fileprivate var isOpen: Bool {
        switch outcome {
        case .forwarded: true
        case .answered(let status): (200...299).contains(status)
        case .redirected, .refused, .own: false
        }
    }
}
