// Required before the program, a hosts file: every name that begins with "runtime-" is this machine.
const dns = require("node:dns");

const lookup = dns.lookup;
dns.lookup = (host, ...rest) => lookup(host.startsWith("runtime-") ? "127.0.0.1" : host, ...rest);
