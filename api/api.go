// Package api holds the wire types of bareroot: what machines, the server and
// the command line say to each other, as versioned JSON. It has no behaviour
// beyond small derivations of its own fields, and with package client it is
// all that programs outside this module import.
//
// Two protocols use these types.
//
// The agent protocol, on the provisioning door, spoken by bareroot-init and
// bareroot-agent. All but hello carry "Authorization: Bearer SESSION-TOKEN".
//
//	POST /agent/v1/hello          HelloRequest   -> HelloReply; a nonce is exchanged once
//	POST /agent/v1/facts          Facts          -> 204
//	GET  /agent/v1/next?wait=25   -> 200 Order | 204 (nothing to do within that many seconds, at most 60)
//	POST /agent/v1/events         EventBatch     -> EventReply; idempotent by (order, attempt, seq) or (boot, seq)
//	POST /agent/v1/log?offset=N   text/plain     -> 204; a piece of the boot's console log; repeated pieces are harmless
//	GET  /images/SHA256           the system image with that hash (Range allowed)
//
// The admin protocol, on the admin door, under /api/v1/ (its OpenAPI document
// is served at /api/openapi.json). REF is a machine's id, name, UUID or MAC.
//
//	GET    /api/v1/status                   Status
//	GET    /api/v1/machines                 {machines: []Machine}
//	GET    /api/v1/machines/REF             Machine
//	DELETE /api/v1/machines/REF             forget
//	POST   /api/v1/machines/REF/approve     ApproveRequest -> Machine
//	POST   /api/v1/machines/REF/power       PowerRequest -> PowerReply
//	GET    /api/v1/machines/REF/logs?boot=  text/plain, the newest boot's log (or that boot's)
//	POST   /api/v1/machines/REF/orders      OrderRequest -> Order
//	GET    /api/v1/orders?machine=REF       {orders: []Order}
//	GET    /api/v1/orders/ID                OrderDetail
//	POST   /api/v1/orders/ID/cancel         -> Order
//	POST   /api/v1/orders/ID/retry          -> Order (a new attempt of a failed one)
//	GET    /api/v1/images                   {images: []Image}
//	POST   /api/v1/images                   ImageRequest -> Image
//	POST   /api/v1/images/NAME/verify       -> Image (rehashed)
//	DELETE /api/v1/images/NAME
//	GET    /api/v1/bootsets                 {bootsets: []BootSet}
//	POST   /api/v1/bootsets                 BootSetRequest -> BootSet
//	POST   /api/v1/bootsets/NAME/default    -> BootSet
//	DELETE /api/v1/bootsets/NAME
//	GET    /api/v1/bootsets/NAME/files      {files: []BootFile}; ?fits=FILE
//	POST   /api/v1/bootsets/NAME/push       PushRequest -> PushReply; repeated until nothing is missing
//	PUT    /api/v1/blobs/SHA256             the bytes of a file that a PushReply names -> 204
//	GET    /api/v1/bootsets/NAME/generations {generations: []Generation}
//	POST   /api/v1/bootsets/NAME/rollback   RollbackRequest -> BootSet
//	POST   /api/v1/login-codes              -> LoginCode (one-time link for a browser)
//	GET    /api/v1/events                   text/event-stream of Change: live updates
//
// Errors on both are application/problem+json (RFC 9457): {title, status,
// detail}. A hint for the user, where there is one, is the last sentence of
// detail.
package api

// AgentProtocol is the version of the agent protocol that this package
// describes. A newer server goes on answering older agents.
const AgentProtocol = 1
