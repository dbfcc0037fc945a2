// CommonJS has a disk, from which the file is read: a second copy of the module would be of no use.

require('./file.js');
