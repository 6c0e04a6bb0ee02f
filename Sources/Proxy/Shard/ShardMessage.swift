// What other queues may say to a shard, in one closed list.

package import Network
package import Primitives
package import Sessions
package import TLS

/// What a listener is for.
package struct ListenerRole: Sendable, Equatable {
    /// The private side: health and the control API. Otherwise the public one: routes and the refresh
    /// endpoints.
    package var isControl = false
    /// Each connection begins with a PROXY header, which says who the client is.
    package var expectsProxyHeader = false
    package var hasTLS = false
    /// Every request is sent to the public URL, which is https.
    package var redirectsToHTTPS = false
}

/// A message to a shard.
package enum ShardMessage: Sendable {
    /// Connections of a listener are to be taken in, as of this role from now on.
    case listen(Listener, ListenerRole, ServerTLS?)
    /// No more connections are to be taken in from a listener.
    case stopListening(Listener)
    /// A connection to serve; the shard owns its descriptor from now on.
    case adopt(Accepted, ListenerRole, ServerTLS?)
    /// The refresh service's answer to an exchange; stale slots and serials are dropped.
    case reply(slot: UInt64, serial: UInt32, SessionReply)
    /// Revocations to put in force.
    case revoke([Revocation], until: WallTime, applied: @Sendable () -> Void)
    /// The doors to all shards.
    case meet(ShardDoors)
    /// What health checks have found of a server.
    case judge(SocketAddress, UpstreamTarget, isUp: Bool)
    /// The servers of an upstream are these now.
    case servers([UpstreamServer], UpstreamTarget)
    /// The keys of an issuer are others now, or have been asked for without a change.
    case keys(IssuerTarget)
    /// Another shard has seen a token of an issuer whose key is not known; told to the first.
    case wantKeys(IssuerTarget)
    /// Where a server with keys can be reached; told to the first.
    case fetchPath(Result<FetchPath, RuntimeError>, IssuerTarget, serial: UInt64)
    /// Another shard has requests that wait for a connection to an upstream, or has made room.
    case lookAgain(UpstreamTarget)
    /// A new configuration: requests from here on are served by it, those that have begun end as they began.
    case change(GatewayRuntime, inForce: @Sendable () -> Void)
    /// The same configuration with other keys of our own: what a key that stays has let in stays let in.
    case changeKeys(GatewayRuntime, inForce: @Sendable () -> Void)
    /// Whether connections are kept between requests; otherwise each ends with its next answer, or soon.
    case keepConnections(Bool)
    /// The end is near: /readyz says so.
    case announceEnd
    /// Shows that the shard is awake.
    case ping(@Sendable () -> Void)
    /// Serve what has begun, begin nothing new; `drained` is called when no connection is left.
    case drain(drained: @Sendable () -> Void)
}
