// What an `upstream` block means: its servers, how requests are spread over them, how they are watched, and
// how long they are waited for.

/// An `upstream` block.
package struct UpstreamConfiguration: Sendable, Equatable {
    package enum Balance: String, Sendable {
        case roundRobin = "round_robin"
        case leastConnections = "least_connections"
    }

    package var name: String
    /// At least one; either all of them are spoken to by TLS or none.
    package var servers: [ServerConfiguration]
    /// Without meaning where no server uses TLS.
    package var tls = UpstreamTLSConfiguration()
    package var balance = Balance.roundRobin
    /// nil: servers are watched by their answers to requests alone.
    package var healthCheck: HealthCheckConfiguration?
    /// So many failures within `failWindowMilliseconds` take a server out for that time; 0 is never.
    package var failuresMax = 3
    package var failWindowMilliseconds: Int64 = 10_000
    /// How long a server that has come back takes to get its full share; 0 is at once.
    package var slowStartMilliseconds: Int64 = 0
    /// How many requests of a shard may wait when every server has all the connections it may have.
    package var queueMax = 256
    /// How long one of them may wait.
    package var queueTimeoutMilliseconds: Int64 = 5_000
    /// How many servers are tried for a request of which nothing has reached any of them.
    package var triesMax = 3
    /// How often host names are looked up again.
    package var resolveMilliseconds: Int64 = 30_000
    package var connectTimeoutMilliseconds: Int64 = 1_000
    /// From the last byte of the request to the response head.
    package var responseTimeoutMilliseconds: Int64 = 60_000
    /// Between two reads of the response's body.
    package var idleTimeoutMilliseconds: Int64 = 60_000
    /// The longest silence on an upgraded connection.
    package var tunnelTimeoutMilliseconds: Int64 = 3_600_000
    /// How many idle connections each shard keeps for each server.
    package var keepaliveConnections = 128
    /// How long each is kept.
    package var keepaliveMilliseconds: Int64 = 60_000
    package var place = SourcePlace()

    package init(name: String, servers: [ServerConfiguration]) {
        self.name = name
        self.servers = servers
    }
}

/// A `server` of an upstream.
package struct ServerConfiguration: Sendable, Equatable {
    package var address: ServerAddress
    /// Its share of the requests, next to the others'.
    package var weight = 1
    /// How many connections all shards together have to it at most; nil is no limit.
    package var connectionsMax: Int?
    /// The host name or the IP address that its certificate must be for, and that a name asks for (SNI); nil
    /// for a server that is spoken to plainly.
    package var certificateName: String?

    package var usesTLS: Bool { certificateName != nil }

    package init(address: ServerAddress, certificateName: String? = nil) {
        self.address = address
        self.certificateName = certificateName
    }
}

/// Where a server listens.
package enum ServerAddress: Sendable, Equatable, Hashable {
    /// A literal IPv4 or IPv6 address, without brackets.
    case ip(host: String, port: UInt16)
    /// A host name, to be looked up again and again; each of its addresses is a server.
    case name(host: String, port: UInt16)
    /// The path of a socket.
    case unix(path: String)
}

/// A `health_check` block: a GET of the path every so often; an answer of 2xx or 3xx in time has passed.
package struct HealthCheckConfiguration: Sendable, Equatable {
    package var path: String
    package var intervalMilliseconds: Int64 = 5_000
    package var timeoutMilliseconds: Int64 = 1_000
    /// So many in a row take a server out.
    package var failuresMax = 3
    /// So many in a row bring it back.
    package var passesMin = 2

    package init(path: String) { self.path = path }
}
