// The connections of clients that a shard takes in: it keeps them, unless it has more than its share.

import Network
import Observability
import Primitives
import TLS

/// The doors to all shards, as one of them sees them.
package struct ShardDoors: Sendable {
    /// In their order; the first checks the health of servers and fetches keys for all.
    let all: [Mailbox<ShardMessage>]
    let index: Int
    let loads: ShardLoads

    var others: [Mailbox<ShardMessage>] { all.indices.filter { $0 != index }.map { all[$0] } }
    var first: Mailbox<ShardMessage>? { index == 0 ? nil : all.first }
}

/// A listener, and what its connections are from now on; those that stand keep what they were given.
struct ListeningPost {
    let acceptor: Acceptor
    var role: ListenerRole
    var tls: ServerTLS?
}

extension Shard {
    /// Takes connections from a listener, or from now on as another one's.
    func listen(on listener: Listener, _ role: ListenerRole, _ tls: ServerTLS?) {
        if let known = posts.firstIndex(where: { $0.acceptor.listener === listener }) {
            posts[known].role = role
            posts[known].tls = tls
            return
        }
        let acceptor = Acceptor(
            listener, loop: loop,
            deal: { [unowned self, unowned listener] in deal($0, from: listener) },
            pausing: { [unowned self] in warnOfPause($0) })
        do throws(SystemError) {
            try acceptor.start()
            posts.append(ListeningPost(acceptor: acceptor, role: role, tls: tls))
        } catch {
            runtime.services.log.error("a shard cannot listen on \(listener.address): \(error)")
        }
    }

    /// Takes no more connections from a listener.
    func stopListening(on listener: Listener) {
        for post in posts where post.acceptor.listener === listener { post.acceptor.stop() }
        posts.removeAll { $0.acceptor.listener === listener }
    }

    private func deal(_ accepted: Accepted, from listener: Listener) {
        guard let post = posts.first(where: { $0.acceptor.listener === listener }) else {
            _ = FileDescriptor(accepted.descriptor)
            return
        }
        // Who a proxied client is, its first bytes say: until then it counts for no address.
        let peer = post.role.expectsProxyHeader ? nil : accepted.peer
        if !post.role.isControl, let limit = runtime.services.census.admit(peer) {
            metrics.admissions.count(limit)
            _ = FileDescriptor(accepted.descriptor)
            return
        }
        guard let doors else {
            adopt(accepted, post.role, post.tls)
            return
        }
        let chosen = doors.loads.shard(forConnectionOf: doors.index)
        if chosen == doors.index {
            adopt(accepted, post.role, post.tls)
        } else {
            doors.all[chosen].post(.adopt(accepted, post.role, post.tls))
        }
    }

    private func warnOfPause(_ error: SystemError) {
        if loop.now < pauseWarnedAt.advanced(byMilliseconds: 10_000) { return }
        pauseWarnedAt = loop.now
        runtime.services.log.error("accepting pauses: \(error)")
    }
}
