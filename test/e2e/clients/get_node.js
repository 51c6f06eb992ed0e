// SPDX-License-Identifier: MIT
// Reads every URL on stdin with Node's http module and says what it made of the answer: complete, status or broken.
const http = require('http');
const readline = require('readline');

const agent = new http.Agent({ keepAlive: true });

function get(url, hops) {
  return new Promise((resolve) => {
    const request = http.get(url, { agent, timeout: 60000 }, (answer) => {
      let size = 0;
      if (answer.statusCode === 307 && hops < 3) {
        answer.resume();
        resolve(get(answer.headers.location, hops + 1));
        return;
      }
      answer.on('data', (piece) => { size += piece.length; });
      answer.on('end', () => resolve(`${answer.statusCode === 200 ? 'complete' : 'status'} ${answer.statusCode} ${size}`));
      answer.on('error', (error) => resolve(`broken ${error.code}`));
    });
    request.on('timeout', () => request.destroy(new Error('timeout')));
    request.on('error', (error) => resolve(`broken ${error.code}`));
  });
}

(async () => {
  for await (const line of readline.createInterface({ input: process.stdin })) console.log(await get(line.trim(), 0));
  agent.destroy();
})();
