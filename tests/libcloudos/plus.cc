// SPDX-License-Identifier: MIT
// CloudOS from C++17: namespaces and lambdas beside the C interface.  Built and run by
// compile.sh, outside cloudos-exec.
#include <cloudos/cloudos.h>

#include <iostream>
#include <memory>
#include <string>
#include <thread>

namespace
{

class Registration
{
public:
	explicit Registration(const std::string &name) : value_{}
	{
		name.copy(value_.name, sizeof(value_.name) - 1);
	}
	int publish() const
	{
		return cloudos_service_register(&value_);
	}

private:
	service_registration_t value_;
};

std::string reason()
{
	auto info = std::make_unique<error_info_t>();

	return cloudos_get_last_error(info.get()) == CLOUDOS_SUCCESS ? info->message : "";
}

int remove_nothing(const char *)
{
	return CLOUDOS_ENOENT;
}

} // namespace

int main()
{
	vfs_operations_t mine{};
	std::string elsewhere = "unset";
	int code = Registration("plus").publish();
	const auto *theirs = cloudos_vfs_operations();

	std::thread other([&elsewhere] { elsewhere = reason(); });
	other.join();
	mine.delete_ = remove_nothing;
	if (code != CLOUDOS_EACCES || !elsewhere.empty() ||
	    reason().find("not running under cloudos-exec") == std::string::npos)
		return 1;
	if (theirs->delete_ != cloudos_vfs_delete || mine.delete_("x") != CLOUDOS_ENOENT)
		return 1;
	if (CLOUDOS_VERSION_MINOR(CLOUDOS_AI_VERSION) != 8)
		return 1;
	std::cout << "C++: ok\n";
	return 0;
}
