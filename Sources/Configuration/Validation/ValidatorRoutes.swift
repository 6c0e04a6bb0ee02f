// The meaning of `route`, and what routes must not do to each other.

import Primitives

extension Validator {
    /// A route with the place that it was given at.
    private struct PlacedRoute {
        var route: RouteConfiguration
        var location: SourceLocation
    }

    func routes(of main: CheckedBlock, upstreams: Upstreams, refreshPath: String) -> [RouteConfiguration] {
        var placed: [PlacedRoute] = []
        for entry in main.entries("route") {
            let block = block(entry, .route)
            let target = target(of: entry)
            var route = RouteConfiguration(
                host: target?.host, path: target?.path ?? "", isExact: entry.arguments.count == 2,
                destination: .upstream(upstream(of: block, opening: entry, upstreams) ?? 0))
            readAccess(of: block, into: &route)
            readRequirements(of: block, into: &route)
            readIdentityFields(of: block, into: &route)
            route.requestBodyBytes = size("request_body", of: block)
            guard target != nil else { continue }
            checkPlace(of: route, entry, among: placed, refreshPath: refreshPath)
            placed.append(PlacedRoute(route: route, location: entry.location))
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

    private func upstream(of block: CheckedBlock, opening: Entry, _ upstreams: Upstreams) -> Int? {
        guard let entry = block.entry("upstream") else {
            // `respond` answers by itself one day; today it is an error of its own.
            if !block.attempted("upstream"), !block.attempted("respond"), !report.isIncomplete {
                report.error(
                    "this route has no 'upstream'", at: opening.location,
                    help: "add: upstream \(upstreams.configurations.first?.name ?? "api");")
            }
            return nil
        }
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
                let claim = claimName(entry, 1)
                let values = entry.arguments.dropFirst(2).map(\.text)
                if values.isEmpty {
                    report.error(
                        "'require claim' needs a value", at: entry.location,
                        help: "its form is: require claim NAME VALUE…; For example: require claim role admin;"
                    )
                } else if let claim {
                    route.requiredClaims.append(ClaimRequirement(name: claim, values: values))
                }
            }
        }
    }

    private func claimName(_ entry: Entry, _ index: Int) -> String? {
        plainText(entry, index, what: "the name of a claim", example: "'role'")
    }
}

// MARK: - Identity headers

extension Validator {
    /// Set by the gateway or by HTTP itself: a claim must not decide them.
    private static let reservedFields: Set<String> = [
        "host", "connection", "authorization", "cookie", "content-length", "transfer-encoding",
        "x-auth-subject", "x-auth-session", "x-auth-scope",
    ]

    private func readIdentityFields(of block: CheckedBlock, into route: inout RouteConfiguration) {
        var seen: Set<String> = []
        for entry in block.entries("identity_header") {
            let field = value(of: entry) { text throws(ValueProblem) in try Self.identityField(text) }
            let word: Void? = value(of: entry, 1) { text throws(ValueProblem) in
                _ = try ValueDecoding.choice(text, of: ["claim"])
            }
            let claim = claimName(entry, 2)
            guard let field, word != nil, let claim else { continue }
            if !seen.insert(Self.folded(field)).inserted {
                report.error(
                    "this field is given twice in one route", at: entry.arguments[0].location,
                    help: "case, '-' and '_' make no difference to an upstream")
                continue
            }
            route.identityFields.append(IdentityField(fieldName: field, claim: claim))
        }
    }

    private static func identityField(_ text: String) throws(ValueProblem) -> String {
        guard (1...128).contains(text.utf8.count), text.utf8.allSatisfy({ ASCII.token.contains($0) }) else {
            throw ValueProblem(reason: "is not a header field name", help: "such as X-Auth-Role")
        }
        if reservedFields.contains(folded(text)) {
            throw ValueProblem(
                reason: "is a field that no claim may set", help: "choose another name, such as X-Auth-Role")
        }
        return text
    }

    /// The name as a careless upstream sees it: CGI makes `_` of every other character, and case is nothing.
    private static func folded(_ name: String) -> String {
        String(
            decoding: name.utf8.map { ASCII.isAlphanumeric($0) ? ASCII.lowercased($0) : 0x2D }, as: UTF8.self)
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
        for placed in routes where placed.route.access == .anonymous {
            warnIfUnprotected(placed, among: routes)
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

    /// An anonymous route below a protected one is often a hole and sometimes meant. Below `/` it is neither.
    private func warnIfUnprotected(_ placed: PlacedRoute, among routes: [PlacedRoute]) {
        let route = placed.route
        let enclosing = routes.filter { other in
            !other.route.isExact && other.route.path != "/" && other.location != placed.location
                && (other.route.host == nil || other.route.host == route.host)
                && RoutePath.lies(route.path, under: other.route.path)
        }
        let nearest = enclosing.max {
            ($0.route.path.utf8.count, $0.route.host == nil ? 0 : 1)
                < ($1.route.path.utf8.count, $1.route.host == nil ? 0 : 1)
        }
        guard let nearest, nearest.route.access == .required else { return }
        report.warning(
            "this anonymous route lies under a protected one", at: placed.location,
            help: "the protected one is at \(report.place(nearest.location))")
    }
}
