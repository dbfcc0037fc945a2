// CommonJS reads the file from disk: a second copy of the module would be useless.

require('./file.js');
