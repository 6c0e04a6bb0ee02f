// What a configuration says of requests, in the form that requests need it: which of them are the gateway's
// own, which route the others take, and what that asks of them. Pure: no clock, no network, no state.
//
// Shards decide by it, and so do `check` and `explain`: there is no second account of what the routes mean.

import Configuration
import HTTP
import JOSE
import Network
import Primitives

/// The policy of a configuration. Immutable: every shard uses the same one.
final class RequestPolicy: Sendable {
    let configuration: GatewayConfiguration
    let routes: RouteTable
    let cookieNames: CookieNames
    /// The origin of the gateway as browsers write it.
    let publicOrigin: [UInt8]
    /// Whose pages may refresh by cookie beside our own: for each host that routes name, and for all others.
    private let refreshOrigins: [(host: [UInt8]?, origins: CrossOrigin)]
    /// Folded names of configured identity headers: never forwarded on a client's word.
    let identityNames: [[UInt8]]
    /// The refresh path without a final slash.
    let refreshPath: [UInt8]
    /// Where the metadata of the issuer stands.
    let metadataPaths: [[UInt8]]
    /// How a token that we have issued begins: one for each key.
    let tokenHeads: [[UInt8]]
    let messageLimits: MessageLimits

    init(_ configuration: GatewayConfiguration, tokenHeads: [[UInt8]]) {
        self.configuration = configuration
        self.tokenHeads = tokenHeads
        routes = RouteTable(configuration.routes, limits: configuration.limits)
        cookieNames = CookieNames(isSecure: configuration.publicURL.scheme == .https)
        publicOrigin = Array(configuration.publicURL.origin.utf8)
        refreshOrigins = Self.refreshOrigins(configuration.routes)
        identityNames = configuration.routes.flatMap(\.identityFields).map {
            FieldFolding.folded($0.fieldName)
        }
        var path = Array(configuration.refreshToken.path.utf8)
        if path.last == UInt8(ascii: "/") { path.removeLast() }
        refreshPath = path
        metadataPaths = IssuerMetadata.paths(ofIssuer: configuration.accessToken.issuer)
        var limits = MessageLimits()
        limits.headBytesMax = configuration.limits.requestHeaderBytes
        limits.fieldCountMax = configuration.limits.headerCount
        limits.targetBytesMax = min(limits.targetBytesMax, limits.headBytesMax)
        messageLimits = limits
    }

    /// The same with other keys of our own.
    init(_ other: RequestPolicy, tokenHeads: [[UInt8]]) {
        self.tokenHeads = tokenHeads
        configuration = other.configuration
        routes = other.routes
        cookieNames = other.cookieNames
        publicOrigin = other.publicOrigin
        refreshOrigins = other.refreshOrigins
        identityNames = other.identityNames
        refreshPath = other.refreshPath
        metadataPaths = other.metadataPaths
        messageLimits = other.messageLimits
    }

    /// Whose pages may refresh by cookie on the host that a request is for; nil where no other origin's may.
    func refreshOrigins(for head: borrowing RequestHead) -> CrossOrigin? {
        if refreshOrigins.isEmpty { return nil }
        let host = head.block.withBytes { RouteTable.hostName($0.extracting(head.authority.offsets)) }
        return (refreshOrigins.first { $0.host == host } ?? refreshOrigins.first { $0.host == nil })?.origins
    }

    /// A page that a route lets act by cookie could do so for one access token's life alone if it might not
    /// refresh. It learns there how long the new pair lasts, or why there is none.
    private static func refreshOrigins(
        _ routes: [RouteConfiguration]
    ) -> [(host: [UInt8]?, origins: CrossOrigin)] {
        // Where nobody needs a token, a cookie lets nobody act.
        let acting = routes.filter { $0.access != .anonymous && $0.cors?.allowsCredentials == true }
        return Set(routes.map(\.host)).compactMap { host in
            let here = acting.filter { $0.host == nil || $0.host == host }
            var configuration = CORSConfiguration()
            for origin in here.flatMap({ $0.cors?.origins ?? [] })
            where !configuration.origins.contains(origin) {
                configuration.origins.append(origin)
            }
            if configuration.origins.isEmpty { return nil }
            configuration.allowsCredentials = true
            return (host.map { Array($0.utf8) }, CrossOrigin(configuration, routeMethods: ["POST"]))
        }
    }

    /// Whether upstreams see a token that has let a request in.
    func forwards(_ token: VerifiedToken) -> Bool {
        token.isOurs
            ? configuration.accessToken.isForwarded : configuration.issuers[token.issuer - 1].isForwarded
    }

    // MARK: - Where a request goes

    /// The answer that hangs on no path; nil where there is none such.
    static func firstAnswer(to head: borrowing RequestHead) -> FirstAnswer? {
        if Via.isLoop(head) { return .refused(.loop) }
        if MaxForwards.read(head) == 0 { return .empty }
        // RFC 9110 §9.3.8: TRACE sends the request back to who sent it, with the identity that we add to it.
        if head.method == .trace { return .refused(.methodNotAllowed) }
        return head.targetForm == .asterisk ? .empty : nil
    }

    /// Whether a path is the gateway's own: everything under the refresh path, and what is published.
    func isOwn(_ path: Span<UInt8>) -> Bool {
        if Publication.isKeySet(path) || isMetadata(path) { return true }
        if path.count < refreshPath.count { return false }
        for index in 0..<refreshPath.count where path[index] != refreshPath[index] { return false }
        return path.count == refreshPath.count || path[refreshPath.count] == UInt8(ascii: "/")
    }

    /// Most paths end at the first test.
    func isMetadata(_ path: Span<UInt8>) -> Bool {
        guard path.count > 1, path[1] == UInt8(ascii: ".") else { return false }
        for known in metadataPaths where path.equals(known.span) { return true }
        return false
    }

    /// The route of a path in normal form.
    func choose(path: Span<UInt8>, authority: Span<UInt8>) -> RouteChoice {
        guard let route = routes.route(path: path, authority: authority) else { return .refused(.noRoute) }
        let other: Route?
        if let loose = PathNormalization.looseReading(of: path) {
            // It leads above the root, which servers read in more than one way.
            if loose.isEmpty { return .refused(.pathRefused) }
            other = routes.route(path: loose.span, authority: authority, reading: .loose)
        } else if routes.haveTwoReadings {
            other = routes.route(path: path, authority: authority, reading: .loose)
        } else {
            return .route(route)
        }
        return other === route ? .route(route) : .refused(.pathRefused)
    }

    /// What a path says in normal form; nil for one that cannot be brought into it.
    func normalPath(of target: [UInt8]) -> [UInt8]? {
        let path = Array(target.prefix { $0 != UInt8(ascii: "?") })
        var normal: [UInt8] = []
        return switch PathNormalization.normalise(path.span, into: &normal) {
        case .unchanged: path
        case .rewritten: normal
        case .refused: nil
        }
    }
}

/// What a request is answered with before anybody looks at its path.
enum FirstAnswer {
    case refused(ProxyError)
    /// A 204.
    case empty
}

/// Where a path leads.
enum RouteChoice {
    case route(Route)
    case refused(ProxyError)
}

/// What a route does with a request before it asks who sent it.
enum RouteAnswer {
    case preflight(PreflightAnswer)
    case methodNotAllowed
}

extension Route {
    /// The answer that needs no token; nil where the gate decides. Preflights come first: they carry no
    /// token and ask for another method than their own.
    func firstAnswer(to head: borrowing RequestHead) -> RouteAnswer? {
        if let answer = crossOrigin?.preflightAnswer(to: head) { return .preflight(answer) }
        let isTaken = head.block.withBytes { takes($0.extracting(head.methodRange.offsets)) }
        return isTaken ? nil : .methodNotAllowed
    }

    /// Whether a request says itself that its body is larger than the route takes.
    func isTooLarge(_ framing: BodyFraming) -> Bool {
        if case .length(let length) = framing { return length > requestBodyBytesMax }
        return false
    }
}
