// SPDX-License-Identifier: MIT
// The names that BlackRoad OS' specification uses, without any dependency.
'use strict';

module.exports = {
  ...require('./identity'),
  ...require('./logger'),
  ...require('./rpc'),
  ...require('./events'),
  ...require('./jobs'),
  ...require('./state'),
};
