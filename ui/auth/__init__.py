"""Who is listening, and who may.

session      the session cookie: checked with each request, set at sign-in, revoked at sign-out
accounts     names with a password (Argon2id); collection `accounts`
revocations  sessions that ended before their cookie expired; collections `sessions`, `deletions`
policy       what the settings allow: guests, names without a password, sign-up, operators
throttle     sliding-window limit on sign-in attempts, and on events that pages send by themselves
places       from where a request comes, and who asks
shares       what each client holds of something bounded at the moment
limits       limits on events, searches by sound and exports
security     ASGI middleware: refuses requests of other origins and proxies, adds the security headers
secret       the key that signs session cookies
"""
