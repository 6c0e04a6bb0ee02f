// The meaning of `route`, and what routes must not do to each other.

import Primitives

extension Validator {
    /// A route with the place that it was given at.
    private struct PlacedRoute {
        var route: RouteConfiguration
        var location: SourceLocation
        var block: CheckedBlock
    }

    func routes(of main: CheckedBlock, upstreams: Upstreams, refreshPath: String) -> [RouteConfiguration] {
        var placed: [PlacedRoute] = []
        for entry in main.entries("route") {
            let block = block(entry, .route)
            let target = target(of: entry)
            var route = RouteConfiguration(
                host: target?.host, path: target?.path ?? "", isExact: entry.arguments.count == 2,
                destination: destination(of: block, opening: entry, upstreams))
            readAccess(of: block, into: &route)
            readRequirements(of: block, into: &route)
            readFields(of: block, into: &route)
            readForwarding(of: block, into: &route)
            route.methods = methods(block.entry("methods"))
            route.rate = block.entry("rate").flatMap { rate($0, isAnonymous: route.access == .anonymous) }
            route.cors = cors(block.entry("cors"))
            readManners(of: block, refreshPath: refreshPath, into: &route)
            route.place = report.sourcePlace(entry.location)
            guard target != nil else { continue }
            checkPlace(of: route, entry, among: placed, refreshPath: refreshPath)
            placed.append(PlacedRoute(route: route, location: entry.location, block: block))
        }
        if !report.isIncomplete { checkWhole(main, placed) }
        return placed.map(\.route)
    }

    private func target(of entry: Entry) -> RouteTarget? {
        guard entry.arguments.count == 2 else { return value(of: entry, decode: RoutePath.target) }
        guard entry.arguments[0].text == "=" else {
            reportProblem(
                ValueProblem(
                    reason: "does not fit here", help: "a route is PATH or = PATH, such as route = /ping"),
                with: entry.arguments[0])
            return nil
        }
        return value(of: entry, 1, decode: RoutePath.target)
    }

    /// Whatever it says where it is faulty, that is reported.
    private func destination(
        of block: CheckedBlock, opening: Entry, _ upstreams: Upstreams
    ) -> RouteConfiguration.Destination {
        if let respond = block.entry("respond") {
            if let upstream = block.entry("upstream") {
                report.error(
                    "this route has both 'upstream' and 'respond'", at: upstream.location,
                    help: "keep one of them: it is forwarded, or the gateway answers")
            }
            return .fixed(fixedResponse(respond) ?? FixedResponse(status: 200))
        }
        if !block.attempted("upstream"), !block.attempted("respond"), !report.isIncomplete {
            report.error(
                "this route has neither 'upstream' nor 'respond'", at: opening.location,
                help: "add: upstream \(upstreams.configurations.first?.name ?? "api");")
        }
        return .upstream(block.entry("upstream").flatMap { upstream($0, upstreams) } ?? 0)
    }

    /// The upstream that the first argument names.
    func upstream(_ entry: Entry, _ upstreams: Upstreams) -> Int? {
        let name = entry.arguments[0].text
        if let index = upstreams.indices[name] { return index }
        if !upstreams.names.contains(name), !report.isIncomplete {
            let names = upstreams.names.sorted()
            let near = EditDistance.nearest(to: name, in: names)
            report.error(
                "there is no upstream \(report.quoted(entry.arguments[0].location))",
                at: entry.arguments[0].location,
                help: near.map { "did you mean '\($0)'?" }
                    ?? (names.isEmpty
                        ? "add: upstream NAME { server http://127.0.0.1:9000; }"
                        : "there is \(names.joined(separator: ", "))"))
        }
        return nil
    }

    private func readAccess(of block: CheckedBlock, into route: inout RouteConfiguration) {
        let access = checkChoice(block.entry("access"))
        if let access = access.flatMap(RouteConfiguration.Access.init(rawValue:)) { route.access = access }
        route.isSessionControl = block.entry("session_control") != nil
        for name in ["login", "session_control"] where block.entry("respond") != nil {
            guard let entry = block.entry(name) else { continue }
            report.error(
                "'\(name)' needs an upstream: it is about what that answers", at: entry.location,
                help: "remove it, or 'respond'")
        }
        guard let login = block.entry("login") else { return }
        route.isLogin = true
        // A faulty `access` is an error already, and what was meant by it is unknown.
        if route.access == .required, access != nil || !block.attempted("access") {
            report.error(
                "nobody can log in here: the route needs an access token", at: login.location,
                help: "add: access anonymous;")
        }
    }

    private func readRequirements(of block: CheckedBlock, into route: inout RouteConfiguration) {
        for entry in block.entries("require") {
            if route.access == .anonymous {
                report.error(
                    "a requirement on an anonymous route is never asked", at: entry.location,
                    help: "remove it, or 'access anonymous'")
            }
            let kind = value(of: entry) { text throws(ValueProblem) in
                try ValueDecoding.choice(text, of: ["scope", "claim"])
            }
            if kind == "scope" {
                for index in entry.arguments.indices.dropFirst() {
                    let scope = plainText(entry, index, what: "a scope", example: "'admin' or 'orders:read'")
                    if let scope { route.requiredScopes.append(scope) }
                }
            } else if kind == "claim" {
                if let requirement = claimRequirement(entry) { route.requiredClaims.append(requirement) }
            }
        }
    }

    /// `claim CLAIM VALUE…`
    func claimRequirement(_ entry: Entry) -> ClaimRequirement? {
        let claim = value(of: entry, 1, decode: ClaimDecoding.path)
        let values = entry.arguments.dropFirst(2).map(\.text)
        if values.isEmpty {
            report.error(
                "'require claim' needs a value", at: entry.location,
                help: "its form is: require claim CLAIM VALUE…; For example: require claim role admin;")
            return nil
        }
        return claim.map { ClaimRequirement(claim: $0, values: values) }
    }
}

// MARK: - Routes among each other

extension Validator {
    private func checkPlace(
        of route: RouteConfiguration, _ entry: Entry, among others: [PlacedRoute], refreshPath: String
    ) {
        let location = entry.arguments.last?.location ?? entry.location
        if RoutePath.lies(route.path, under: refreshPath) {
            report.error(
                "this route lies under the refresh path, which belongs to the gateway", at: location,
                help: "choose another path, or another one for refresh tokens: refresh_token { path …; }")
        }
        let first = others.first {
            ($0.route.host, $0.route.path, $0.route.isExact) == (route.host, route.path, route.isExact)
        }
        if let first {
            report.error(
                "there is another route for this", at: location,
                help: "it was first given at \(report.place(first.location))")
        }
    }

    private func checkWhole(_ main: CheckedBlock, _ routes: [PlacedRoute]) {
        guard let last = routes.last else {
            if !main.attempted("route") {
                report.error("there is no 'route'", at: nil, help: "add: route / { upstream api; }")
            }
            return
        }
        for placed in routes where placed.route.access != .anonymous {
            warnIfLoginPageIsProtected(placed, among: routes)
        }
        let isAttempted = main.attempts.count { $0.name == "route" } > routes.count
        let hasCatchAll = routes.contains {
            $0.route.host == nil && $0.route.path == "/" && !$0.route.isExact
        }
        if !hasCatchAll, !isAttempted {
            report.warning(
                "there is no 'route /': what no route matches is answered 404", at: last.location,
                help: "add: route / { upstream …; }")
        }
    }

    /// Who is sent to a page that needs a token is sent there again.
    private func warnIfLoginPageIsProtected(_ placed: PlacedRoute, among routes: [PlacedRoute]) {
        guard let page = placed.route.loginPage, let entry = placed.block.entry("login_page") else { return }
        let path = String(page.prefix { $0 != "?" })
        let matching = routes.map(\.route).filter { route in
            (route.host == nil || route.host == placed.route.host)
                && (route.isExact ? route.path == path : RoutePath.lies(path, under: route.path))
        }
        let nearest = matching.max {
            ($0.host == nil ? 0 : 1, $0.isExact ? 1 : 0, $0.path.utf8.count)
                < ($1.host == nil ? 0 : 1, $1.isExact ? 1 : 0, $1.path.utf8.count)
        }
        guard let nearest, nearest.access == .required, !nearest.isObserved else { return }
        report.warning(
            "the login page needs an access token itself", at: entry.location,
            help: "add: route = \(path) { access anonymous; … }")
    }
}
