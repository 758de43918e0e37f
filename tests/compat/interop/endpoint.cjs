// Loaded before a program of the JavaScript library (node --require): its DynamoDBClient, which has no setting for
// it, then sends everything to the server in DYNAMODB_ENDPOINT.
"use strict";

const commands = require("dynamo-bao/src/dynamodb-client.js");

const endpoint = process.env.DYNAMODB_ENDPOINT;
if (endpoint) {
  const Client = commands.DynamoDBClient;
  commands.DynamoDBClient = class DynamoDBClient extends Client {
    constructor(settings = {}) {
      super({ ...settings, endpoint });
    }
  };
}
