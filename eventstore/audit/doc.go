// Package audit proves that the log is what it was.
//
// # Chains and seals
//
// Each event's hash covers the event and the hash before it in its stream (see [eventstore.ChainHash]). A chain shows where an event was
// changed, removed, inserted or moved. It cannot show what leaves a whole chain behind: that a stream was removed, that its end was cut
// off, or that it was written anew from somewhere on, with new hashes.
//
// A seal can. It is a statement, signed with a key that the database does not have, about a range of the log: how many events it has and
// the root of a Merkle tree over them. Seals follow one another without a gap, each names the hash of the one before, and each covers
// only what is settled (below log_horizon), so that nothing can appear in its range any more. Sealing reads; appends do not wait for it.
//
// # The tree
//
// It is that of RFC 6962, section 2.1: a leaf is SHA-256(0x00 ‖ data), a node SHA-256(0x01 ‖ left ‖ right), so that no leaf can pass for a
// node. The data of a leaf is the event's place, as transaction and position of eight bytes each, big-endian, and the event's hash. The
// hash covers everything else: workspace, stream, version, id, type, data, metadata, time, and all that came before in the stream. So
// sealing reads 48 bytes an event, and an event can be shown to be sealed without showing what it says. The price is that a seal alone
// says nothing about contents: verifying means both, that contents fit their hashes, and hashes fit their seals.
//
// The root tells that something was altered, but not what. So a seal also keeps the first four bytes of every leaf, its marks, which are
// signed too: the first mark that differs names the event.
//
// # Whom to trust
//
// Whoever can write to the tables and has no key can drop the newest seals together with what they cover, and nothing in the
// database tells. Therefore seals are worth writing down elsewhere: a [Witness] is a file with a line for every seal, and a bundle
// ([Log.Export]) contains them. And a public key that is read from the same database proves only that one key signed all seals; give the key
// that you know.
//
// What comes after the last seal is covered by its chains only. Somebody who has the signing key can sign anything.
package audit
