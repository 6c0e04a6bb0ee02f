// One request and its response: what was decided about it, and how far it has come. Reused for every exchange
// of a connection; nothing here allocates on the common path.
//
// Owned by: the downstream connection it runs on.

import Configuration
import HTTP
import JOSE
import Primitives
import Sessions

/// Where an exchange stands.
enum ExchangePhase: UInt8 {
    /// No exchange: the next request head is awaited.
    case idle
    /// A local endpoint takes the request's body in.
    case collecting
    /// The request goes upstream, and the response comes back.
    case relaying
    /// HTTP has ended (101); bytes pass both ways.
    case tunnelling
    /// The refresh service or the control API works on it.
    case awaitingReply
    /// The response is complete and leaves for the client.
    case flushing
    /// The connection is to be closed; what the client still sends is read and dropped, so that it sees the
    /// answer and not a reset.
    case lingering
}

/// What an exchange waits for: the refresh service, but for the last two cases.
enum AwaitedReply {
    case none
    case refresh(Delivery)
    /// A browser waits to be sent back to where it came from.
    case bounce
    case logout(clearsCookies: Bool)
    case revocation
    case ownSessions(isByCookie: Bool)
    case ownSessionEnd(isByCookie: Bool, endsOwn: Bool)
    /// A login's answer is held back until its session is on disk.
    case sessionStart(Delivery)
    /// An answer with Session-End is held back until it is in force.
    case sessionEnd(clearsCookies: Bool)
    case control(ControlCall)
    /// Whose session is to be refreshed, so that an upstream can be asked whether it may.
    case examination(RefreshDemand)
    /// The end of a session that may not be refreshed.
    case denial(RefreshDemand)
    /// News of an issuer's keys: then the gate decides.
    case keys
    /// An upstream's word: on an older credential, or on a subject.
    case confirmation
}

/// The state of one request/response pair.
final class Exchange {
    var phase = ExchangePhase.idle
    var awaited = AwaitedReply.none
    /// Tells one exchange of a connection from the next, for replies that come late.
    private(set) var serial: UInt32 = 0
    /// When its batch of events began: what it waited for behind others is part of what it took.
    var startedMicroseconds: Int64 = 0
    var route: Route?
    /// Where it is counted: a place of the shard's list.
    var countedAt = 0
    var token: VerifiedToken?
    /// Outlives the exchange: the next one on this connection most likely carries the same token.
    var memo = TokenMemo()
    var upstream: UpstreamConnection?
    /// What a stream of events, or a tunnel, lives as long as.
    var binding: StreamBinding?
    /// The answer is a stream of server-sent events.
    var isEventStream = false
    /// The upstream's end of a tunnel has sent its last byte.
    var upstreamHasEnded = false
    /// How many more proxies an OPTIONS may pass; nil is any number.
    var maxForwards: UInt64?
    /// The client can do something with trailer fields.
    var wantsTrailers = false
    var requestID = RequestID.received(.empty)
    /// What trusted proxies say of the request.
    var forwarded = ForwardedFields.none
    /// How the client keeps pace while it is waited for.
    var pace = ClientPace()
    var requestBody = BodyReader(.none)
    /// Whether the whole request body has been taken from the client.
    var requestIsComplete = true
    /// Content bytes taken so far; held against the limit where no length was announced.
    var requestBytes: UInt64 = 0
    var requestBytesMax: UInt64 = 0
    /// The body of a request to an endpoint.
    var collected: [UInt8] = []
    /// The body is read and dropped.
    var isDiscarding = false
    /// The answer that waits for the end of a dropped body.
    var pending: LocalResponse?
    /// The framing in which the response goes to the client.
    var responseFraming = BodyFraming.none
    /// Whether an answer has been begun.
    var hasResponse = false
    /// Whether any byte has left for the client: then nothing else can be answered.
    var hasSent = false
    /// Whether the connection may serve another request afterwards.
    var isPersistent = true
    /// The session whose token a login request carried.
    var heldSession: SessionID?
    /// What becomes of the request's token.
    var passage = TokenPassage.asSent
    /// When a server got the request, and when the head of its answer had come; 0 where nobody asks.
    var sentMicroseconds: Int64 = 0
    var answeredMicroseconds: Int64 = 0
    /// The status of the upstream's answer; 0 until it has come.
    var upstreamStatus = 0
    /// Where the request was sent on to.
    var pool: UpstreamPool?
    /// The server that got the request last.
    var server: UpstreamServer?
    /// It waits for a connection.
    var isWaiting = false
    /// Servers that could not be reached with it.
    var triedServers: [Int] = []
    /// What is answered when no server is left to try.
    var connectFailure = ProxyError.upstreamUnavailable
    var wasRetried = false
    /// The path in normal form, where it differs from the one that was sent.
    var normalPath: [UInt8] = []
    var usesNormalPath = false
    /// Cookie values of the request that had ours in them, without ours.
    var keptCookies: [[UInt8]] = []
    /// What the access log says of the exchange; 0 until something has been answered.
    var status = 0
    /// Bytes of the response's body that were handed to the client's connection.
    var responseBytes: UInt64 = 0
    /// A log word when the gateway itself refused or failed; empty otherwise.
    var reason = ""
    /// What an observed route would have refused the request for.
    var observed = ""
    /// It is for the refresh endpoint, which pages of some other origins may read.
    var isRefresh = false
    /// A preflight, whose answer says all there is to say of origins.
    var isPreflight = false
    /// A cookie whose credential has been exchanged: the client is to forget it.
    var spentCookie: [UInt8] = []
    /// Whose session was begun or refreshed.
    var loggedSession: (subject: [UInt8], sid: [UInt8])?

    /// The longest silence of a tunnel.
    var tunnelTimeoutMilliseconds: Int64 {
        route?.configuration.tunnelTimeoutMilliseconds
            ?? pool?.target.configuration.tunnelTimeoutMilliseconds ?? 3_600_000
    }

    /// Begins the next exchange.
    func begin(microseconds: Int64) {
        serial &+= 1
        awaited = .none
        startedMicroseconds = microseconds
        route = nil
        countedAt = 0
        token = nil
        upstream = nil
        binding = nil
        upstreamHasEnded = false
        isEventStream = false
        if !forwarded.clientText.isEmpty || forwarded.isTold { forwarded = .none }
        pace = ClientPace()
        maxForwards = nil
        requestIsComplete = true
        requestBytes = 0
        if !collected.isEmpty { collected.removeAll() }
        isDiscarding = false
        pending = nil
        responseFraming = .none
        hasResponse = false
        hasSent = false
        isPersistent = true
        heldSession = nil
        passage = .asSent
        upstreamStatus = 0
        pool = nil
        server = nil
        isWaiting = false
        if !triedServers.isEmpty { triedServers.removeAll() }
        connectFailure = .upstreamUnavailable
        wasRetried = false
        usesNormalPath = false
        if !keptCookies.isEmpty { keptCookies.removeAll() }
        status = 0
        responseBytes = 0
        reason = ""
        observed = ""
        isRefresh = false
        isPreflight = false
        if !spentCookie.isEmpty { spentCookie.removeAll() }
        loggedSession = nil
    }
}
