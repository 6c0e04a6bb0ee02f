// Which route a request takes: the most specific one, whatever the order in the file. A route for the
// request's host goes before one for any host; an exact path before a prefix; a longer prefix before a
// shorter one.
//
// A prefix matches on segment borders: `/admin` and `/admin/` both match `/admin` and `/admin/users`, and
// neither matches `/administrator`. There is this one way to match and no fast path beside it
// (CVE-2026-27587).

import Configuration
import HTTP
import Primitives

/// A route, ready to be matched and applied. Immutable, so every shard uses the same one.
final class Route: Sendable {
    let configuration: RouteConfiguration
    /// Its place in the table.
    let index: Int
    /// The route as the log names it.
    let label: [UInt8]
    /// The path without a final slash; empty for `/`.
    fileprivate let prefix: [UInt8]
    /// The same as the most lenient upstream reads it: `/café` where it is `/caf%C3%A9`.
    fileprivate let loosePrefix: [UInt8]
    fileprivate let host: [UInt8]?
    /// The configured identity headers: the field line up to the value, and the names that lead to the
    /// claim.
    let identityFields: [(opening: [UInt8], claim: [String])]
    let requestBodyBytesMax: UInt64
    /// How many bytes of the path are not forwarded (`strip_prefix`).
    let strippedBytes: Int
    /// The route's prefix, told to the upstream that does not see it in the path; empty where it does.
    let forwardedPrefix: [UInt8]
    /// Whole lines of `set_header`.
    let setLines: [UInt8]
    /// Folded names of `set_header` and `remove_header`: nothing that the client sends under them passes.
    let removedNames: [[UInt8]]
    /// `set_header Host`: the client's goes no further.
    let setsHost: Bool
    /// `set_header Authorization`: no token of ours takes its place.
    let setsAuthorization: Bool
    /// The methods of the route, HEAD beside GET; empty for all of them.
    private let methods: [[UInt8]]
    /// The value of Allow.
    let allowText: String
    let rate: RateLimiter?
    let crossOrigin: CrossOrigin?

    init(_ configuration: RouteConfiguration, index: Int = 0, limits: LimitsConfiguration) {
        self.configuration = configuration
        self.index = index
        label = Array(configuration.label.utf8)
        var path = Array(configuration.path.utf8)
        if !configuration.isExact && path.last == UInt8(ascii: "/") { path.removeLast() }
        prefix = path
        var loose = PathNormalization.looseReading(of: path.span) ?? path
        if !configuration.isExact && loose.last == UInt8(ascii: "/") { loose.removeLast() }
        loosePrefix = loose
        self.host = configuration.host.map { Array($0.utf8) }
        identityFields = configuration.identityFields.map {
            (Array("\($0.fieldName): ".utf8), $0.claim.parts)
        }
        requestBodyBytesMax = configuration.requestBodyBytes ?? limits.requestBodyBytes
        forwardedPrefix = Array((configuration.strippedPrefix ?? "").utf8)
        strippedBytes = forwardedPrefix.count
        setLines = configuration.setFields.flatMap { Array("\($0.name): \($0.value)\r\n".utf8) }
        let names = configuration.setFields.map(\.name) + configuration.removedFields
        removedNames = names.map(FieldFolding.folded)
        let set = configuration.setFields.map { FieldFolding.folded($0.name) }
        setsHost = set.contains(Array("host".utf8))
        setsAuthorization = set.contains(Array("authorization".utf8))
        var methods = configuration.methods
        if methods.contains("GET"), !methods.contains("HEAD") { methods.append("HEAD") }
        self.methods = methods.map { Array($0.utf8) }
        allowText = methods.joined(separator: ", ")
        rate = configuration.rate.map(RateLimiter.init)
        crossOrigin = configuration.cors.map { CrossOrigin($0, routeMethods: methods) }
    }

    /// Whether this route is asked before another one, as far as neither's path tells; nil where that does.
    fileprivate func goesBefore(_ other: Route) -> Bool? {
        if (host == nil) != (other.host == nil) { return host != nil }
        if configuration.isExact != other.configuration.isExact { return configuration.isExact }
        return nil
    }

    /// Whether the route takes a method.
    func takes(_ method: Span<UInt8>) -> Bool {
        if methods.isEmpty { return true }
        for known in methods where method.equals(known.span) { return true }
        return false
    }

    fileprivate func matches(_ path: Span<UInt8>, _ reading: RouteTable.Reading) -> Bool {
        let prefix = reading == .strict ? self.prefix : loosePrefix
        let count = prefix.count
        if configuration.isExact && path.count != count { return false }
        if path.count < count { return false }
        for index in 0..<count where path[index] != prefix[index] { return false }
        return path.count == count || path[count] == UInt8(ascii: "/")
    }
}

/// All routes, the more specific first.
struct RouteTable: Sendable {
    /// By their index.
    let all: [Route]
    private let routes: [Route]
    private let looseRoutes: [Route]
    private let hasHosts: Bool
    /// A route's path can be read in two ways: then a plain path may be a reading of it, as `/@ops` is of
    /// `/%40ops`.
    let haveTwoReadings: Bool

    /// How a path is read.
    enum Reading {
        /// As it stands.
        case strict
        /// As the most lenient upstream might: requests and routes alike.
        case loose
    }

    init(_ configurations: [RouteConfiguration], limits: LimitsConfiguration) {
        all = configurations.enumerated().map { Route($0.element, index: $0.offset, limits: limits) }
        routes = all.sorted { $0.goesBefore($1) ?? ($0.prefix.count > $1.prefix.count) }
        looseRoutes = all.sorted {
            if let order = $0.goesBefore($1) { return order }
            if $0.loosePrefix.count != $1.loosePrefix.count {
                return $0.loosePrefix.count > $1.loosePrefix.count
            }
            // Of `/a` and `/a;v=1` the first is what the second may be taken for.
            return $0.prefix.count < $1.prefix.count
        }
        haveTwoReadings = all.contains { $0.loosePrefix != $0.prefix }
        hasHosts = routes.contains { $0.host != nil }
    }

    /// The route of a request; nil when none matches.
    ///
    /// - Parameters:
    ///   - path: in normal form.
    ///   - authority: host and port as the request names them.
    func route(path: Span<UInt8>, authority: Span<UInt8>, reading: Reading = .strict) -> Route? {
        let routes = reading == .strict ? routes : looseRoutes
        if !hasHosts { return routes.first { $0.matches(path, reading) } }
        let host = Self.hostName(authority)
        return routes.first { route in
            guard let wanted = route.host else { return route.matches(path, reading) }
            return wanted == host && route.matches(path, reading)
        }
    }

    /// The host of an authority: without port, in lower case, without the final dot of an absolute name.
    static func hostName(_ authority: Span<UInt8>) -> [UInt8] {
        var end = authority.count
        var index = end
        while index > 0, ASCII.isDigit(authority[index - 1]) { index -= 1 }
        if index > 0, authority[index - 1] == UInt8(ascii: ":") { end = index - 1 }
        if end > 0, authority[end - 1] == UInt8(ascii: ".") { end -= 1 }
        return [UInt8](copying: authority.extracting(0..<end)).map(ASCII.lowercased)
    }
}
