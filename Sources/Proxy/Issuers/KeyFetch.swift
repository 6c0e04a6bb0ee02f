// One fetch of an issuer's keys: the name of the server to addresses, the discovery document where the keys'
// address is not configured, then the JWK set. Each of its answers is bounded, and judged before it is used.
//
// Owned by: the first shard. Names and certificates are looked up on the resolver's queue.

import Configuration
import JOSE
import Network
import Primitives
import TLS

/// Where a request can be sent.
package struct FetchPath: Sendable {
    let addresses: [SocketAddress]
    let tls: ClientTLS?
}

/// What a fetch of keys has come to.
enum KeyFetchOutcome {
    case keys(KeySet, maxAgeSeconds: Int64?)
    case failed(String)
}

/// Fetches once.
final class KeyFetch {
    private unowned let shard: Shard
    private let target: IssuerTarget
    private let remote: RemoteKeys
    private let done: (KeyFetchOutcome) -> Void
    private var url: URLText
    private var isDiscovering = false
    private var path: FetchPath?
    private var nextAddress = 0
    private var request: Fetch?
    /// Tells this fetch's lookups from an earlier one's.
    let serial: UInt64
    private let endsAt: MonotonicInstant

    /// - Parameter done: called once, unless the fetch is stopped.
    init(
        _ target: IssuerTarget, _ remote: RemoteKeys, serial: UInt64, shard: Shard,
        done: @escaping (KeyFetchOutcome) -> Void
    ) {
        self.target = target
        self.remote = remote
        self.serial = serial
        self.shard = shard
        self.done = done
        endsAt = shard.loop.now.advanced(byMilliseconds: remote.timeoutMilliseconds)
        switch remote.address {
        case .jwks(let address): url = address
        case .discovery(let address):
            url = address
            isDiscovering = true
        }
    }

    /// Begins with the server's name.
    func start() { lookUp() }

    /// Ends the fetch without an outcome.
    func stop() {
        request?.stop()
        request = nil
    }

    private func lookUp() {
        let (url, authority, serial, target) = (url, remote.certificateAuthority, serial, target)
        let mailbox = shard.mailbox
        NameResolver(host: url.host, port: url.port).lookUp(afterMilliseconds: 0) { result in
            let path: Result<FetchPath, RuntimeError>
            do throws(RuntimeError) {
                // Building it reads a file of some hundred certificates, which no loop has time for.
                let tls = url.isTLS ? try GatewayTLS.client(host: url.host, authorities: authority) : nil
                let addresses = result.mapError { RuntimeError(reason: $0.reason) }
                path = addresses.map { FetchPath(addresses: $0, tls: tls) }
            } catch {
                path = .failure(error)
            }
            mailbox.post(.fetchPath(path, target, serial: serial))
        }
    }

    /// The server's name has been looked up.
    func take(_ result: Result<FetchPath, RuntimeError>) {
        switch result {
        case .success(let path):
            self.path = path
            nextAddress = 0
            ask(because: "no address")
        case .failure(let error): finish(.failed("\(url.host): \(error.reason)"))
        }
    }

    /// Asks at the next address.
    private func ask(because reason: String) {
        let left = endsAt.milliseconds - shard.loop.now.milliseconds
        let addressCount = min(path?.addresses.count ?? 0, Self.addressesMax)
        guard let path, nextAddress < addressCount, left > 0 else {
            finish(.failed("\(url.text): \(left > 0 ? reason : "no answer in time")"))
            return
        }
        let address = path.addresses[nextAddress]
        // One from which nothing comes back, as IPv6 often has it, must leave the others their time.
        let share = left / Int64(addressCount - nextAddress)
        nextAddress += 1
        do throws(SystemError) {
            let transport = try Transport.connecting(to: address, tls: path.tls?.makeSession())
            let fetch = Fetch(
                transport,
                request: Fetch.request(
                    "GET", url.path, authority: Array(url.authority.utf8), agent: "auth-gateway-keys",
                    accept: "application/json"),
                part: .whole(bytesMax: Self.answerBytesMax), timeoutMilliseconds: left,
                connectMilliseconds: share, loop: shard.loop
            ) { [unowned self] in answered($0) }
            try fetch.start()
            request = fetch
        } catch {
            ask(because: error.reason)
        }
    }

    private func answered(_ outcome: FetchOutcome) {
        request = nil
        switch outcome {
        case .failed(let reason), .unreachable(let reason): ask(because: reason)
        case .answered(let answer) where answer.status != 200:
            finish(.failed("\(url.text): status \(answer.status)"))
        case .answered(let answer):
            guard let document = try? JSONDocument(parsing: answer.body) else {
                finish(.failed("\(url.text): the answer is not JSON"))
                return
            }
            isDiscovering ? takeDescription(document) : takeKeys(document, answer.maxAgeSeconds)
        }
    }

    private func takeDescription(_ document: JSONDocument) {
        // OpenID Connect Discovery 1.0 §4.3: the issuer "MUST exactly match the value of the iss Claim".
        guard let issuer = document.root["issuer"]?.string,
            issuer.utf8.elementsEqual(target.configuration.issuer.utf8)
        else {
            finish(.failed("\(url.text): the document describes another issuer"))
            return
        }
        guard let address = document.root["jwks_uri"]?.string.flatMap(URLText.init(text:)),
            // RFC 8414 §2: the URL of the keys MUST use https. Who is configured by http is a test's.
            address.isTLS || !url.isTLS
        else {
            finish(.failed("\(url.text): 'jwks_uri' is missing, or is no https URL"))
            return
        }
        isDiscovering = false
        url = address
        lookUp()
    }

    private func takeKeys(_ document: JSONDocument, _ maxAgeSeconds: Int64?) {
        do throws(JOSEError) {
            let keys = try KeySet(jwks: document.root, algorithms: target.policy.algorithms)
            if keys.keys.isEmpty {
                finish(.failed("\(url.text): there is no key in it that can be used"))
                return
            }
            finish(.keys(keys, maxAgeSeconds: maxAgeSeconds))
        } catch {
            finish(.failed("\(url.text): this is no JWK set, or two of its keys have one name"))
        }
    }

    private func finish(_ outcome: KeyFetchOutcome) { done(outcome) }

    /// Some 500 keys.
    private static let answerBytesMax = 256 * 1024
    private static let addressesMax = 4
}
